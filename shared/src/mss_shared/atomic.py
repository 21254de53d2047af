"""Atomic writing: a file is written beside its final path, brought to the disk, then renamed."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

PART = ".part-"  # how the names of unfinished files begin


def make_part(path: Path, *, suffix: str | None = None, prefix: str = PART) -> Path:
    """Create an empty file with a new name beside a path, and its folder if necessary.

    Its mode is that of any new file, as the user's umask says.

    Args:
        path: the final path.
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
    """Yield a temporary file, which replaces ``path`` when the block ends.

    If the block raises, the path stays as it was and nothing is left beside it. A path that is a
    link is replaced itself: what it points to stays as it is.

    Args:
        path, suffix, prefix: as in ``make_part``.

    Raises:
        OSError: if the file can't be written.
    """
    part = make_part(path, suffix=suffix, prefix=prefix)
    mode = part.stat().st_mode
    try:
        yield part
        if part.stat().st_mode != mode:  # the writer replaced the file
            with suppress(OSError):  # some file systems have no modes to change
                part.chmod(mode)
        _sync(part)
        os.replace(part, path)
    except OSError as error:
        if error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT):
            error.filename = os.fspath(path)  # a failing write does not say where
        raise
    finally:
        part.unlink(missing_ok=True)


def replace_all(moves: Sequence[tuple[Path, Path]], *, prefix: str = PART) -> None:
    """Rename files: all of them, or none.

    What has the new names is kept beside them until the last file is renamed. If the process is
    killed meanwhile, some files are new and some are old.

    Args:
        moves: present and final path of each file.
        prefix: of the names under which older files are kept.

    Raises:
        OSError: if one can't be renamed; all final paths are then as before.
    """
    kept: dict[Path, Path | None] = {}
    try:
        for part, _ in moves:
            _sync(part)
        for part, path in moves:
            kept[path] = _keep(path, prefix)
            os.replace(part, path)
    except BaseException:
        for path, old in reversed(kept.items()):
            if old is None:
                path.unlink(missing_ok=True)
            else:
                os.replace(old, path)
        raise
    finally:
        for old in kept.values():
            if old is not None:
                old.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until a file's content is on the disk, so that no power cut leaves an empty new file.

    Raises:
        OSError: if the disk is full or failing; a disk that can't be waited for is not waited for.
    """
    handle = os.open(path, os.O_RDWR)  # some systems sync only what is open for writing
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            error.filename = os.fspath(path)
            raise
    finally:
        os.close(handle)


def _keep(path: Path, prefix: str) -> Path | None:
    """Give a file a second name beside it, or only that where a disk has no links; None if none."""
    if not os.path.lexists(path):
        return None
    if path.is_dir() and not path.is_symlink():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    old = path.with_name(f"{prefix}{secrets.token_hex(6)}{path.suffix}")
    try:
        os.link(path, old, follow_symlinks=False)
    except (OSError, NotImplementedError):
        os.rename(path, old)
    return old


@contextmanager
def making_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder, renamed to ``path`` when the block ends; removed if it raises.

    If another process has made ``path`` first, its folder stays.

    Raises:
        OSError: if the folder can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{PART}{secrets.token_hex(6)}")
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
    """Write a text in UTF-8, atomically.

    Raises:
        OSError: if the file can't be written.
    """
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
