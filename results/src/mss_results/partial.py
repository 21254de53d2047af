"""Names of unfinished files and folders, and the removal of those that a dead process left."""

import hashlib
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mss_results.deferring import deferring

_ENDING = ".partial"


def partial_of(path: Path) -> Path:
    """Where a process writes what will be renamed to `path`, beside it."""
    return path.with_name(f".{path.name}.{_machine()}.{os.getpid()}{_ENDING}")


def sweep(path: Path) -> None:
    """Remove what dead processes of this machine left of earlier attempts to write `path`."""
    name = re.compile(
        rf"{re.escape(f'.{path.name}.{_machine()}.')}([1-9][0-9]{{0,9}}){re.escape(_ENDING)}"
    )
    for left in path.parent.iterdir() if path.parent.is_dir() else ():
        match = name.fullmatch(left.name)
        if match is None or _is_alive(int(match.group(1))):
            continue
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


@contextmanager
def named_finally(partial: Path, path: Path) -> Iterator[None]:
    """Let errors of the system name a file, or one in a folder, as it will be named at last.

    A failing write does not say where: it gets that name, too.
    """
    try:
        yield
    except OSError as error:
        files = (error.filename, error.filename2)
        hidden = [
            Path(each).relative_to(partial)
            for each in files
            if isinstance(each, str) and Path(each).is_relative_to(partial)
        ]
        if hidden or files == (None, None):
            error.filename = os.fspath(path / hidden[-1] if hidden else path)
            del error.filename2
        raise


@contextmanager
def made_folders() -> Iterator[list[Path]]:
    """Yield a list for `make_folder`; if the block raises, the empty ones of them are removed.

    Signals wait until the block has ended.
    """
    made: list[Path] = []
    with deferring():
        try:
            yield made
        except BaseException:
            for folder in reversed(made):
                with suppress(OSError):
                    folder.rmdir()
            raise


def make_folder(folder: Path, made: list[Path]) -> None:
    """Make a folder and those that it lies in, and list those that were not there."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    made.extend(reversed(missing))
    folder.mkdir(parents=True, exist_ok=True)


def _machine() -> str:
    """Eight digits that differ for machines and for containers, whose process ids mean others."""
    words = [socket.gethostname()]
    with suppress(OSError):
        words.append(Path("/etc/machine-id").read_text(encoding="utf-8", errors="replace"))
    with suppress(OSError):
        words.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(words).encode("utf-8", "replace")).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, or no number of a process here
        return True
    return True
