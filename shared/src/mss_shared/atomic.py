"""Files that appear whole or not at all: written beside their place, then renamed."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PART = ".part-"  # how the names of unfinished files begin


def make_part(path: Path, *, suffix: str | None = None, prefix: str = PART) -> Path:
    """An empty file of a new name beside a path, in a folder that is made if need be.

    Its mode is that of any new file: the user's umask decides.

    Args:
        path: what the file will become.
        suffix: how its name ends; by default as the path does.
        prefix: how its name begins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    ending = path.suffix if suffix is None else suffix
    while True:
        part = path.with_name(f"{prefix}{secrets.token_hex(6)}{ending}")
        try:
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            continue
        return part


@contextmanager
def replacing(path: Path, *, suffix: str | None = None, prefix: str = PART) -> Iterator[Path]:
    """Give a file to write in the place of a path, which it replaces when the block ends.

    If the block raises, the path stays as it was and nothing is left beside it.

    Args:
        path, suffix, prefix: as in ``make_part``.

    Raises:
        OSError: if the disk refuses.
    """
    part = make_part(path, suffix=suffix, prefix=prefix)
    mode = part.stat().st_mode
    try:
        yield part
        if part.stat().st_mode != mode:  # who wrote it made it anew
            with suppress(OSError):  # some disks have no modes to change
                part.chmod(mode)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def making_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder that takes a path when the block ends; if it raises, nothing is left.

    If another process was first with the path, its folder stays.

    Raises:
        OSError: if the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{PART}{secrets.token_hex(6)}-{path.name}")
    part.mkdir()
    try:
        yield part
        try:
            part.rename(path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, whole or not at all.

    Raises:
        OSError: if the disk refuses.
    """
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
