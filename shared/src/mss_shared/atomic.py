"""Atomic writing: a file is written beside its final path, brought to the disk, then renamed.

The name of an unfinished file tells which process writes it. Before a process first writes into a
folder, it removes there what processes of this machine left that are dead, and nothing else.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from mss_shared.stopping import interruptible, uninterrupted

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # nothing but writing ends in these
PART = ".part-"  # how the names of unfinished files begin
_OWNED = re.compile(re.escape(PART) + r"([0-9a-f]{8})\.([1-9][0-9]{0,9})-[0-9a-f]{12}(\.\w+)?")


def make_part(path: Path, *, suffix: str | None = None, prefix: str | None = None) -> Path:
    """Create an empty file with a new name beside a path, and its folder if necessary.

    Its mode is that of any new file, as the user's umask says.

    Args:
        path: the final path.
        suffix: how its name ends; by default as the path does.
        prefix: how its name begins; by default so that it is removed once this process is dead,
            and with one of the caller's own it is the caller who removes it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    ending = path.suffix if suffix is None else suffix
    while True:
        part = path.with_name(f"{_begin(path, prefix)}{secrets.token_hex(6)}{ending}")
        try:
            with named_finally(part, path):
                os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            continue
        return part


@contextmanager
def named_finally(part: Path, path: Path) -> Iterator[None]:
    """Let errors of the system name a file or folder, or what is in it, as it is to be named.

    A write that fails on a full disk does not say where: it gets the path's name.
    """
    try:
        yield
    except OSError as error:
        files = (error.filename, error.filename2)
        names = [Path(each) for each in files if isinstance(each, str)]
        hidden = [each.relative_to(part) for each in names if each.is_relative_to(part)]
        if hidden or (error.filename is None and error.errno in _FULL):
            error.filename = os.fspath(path / hidden[-1] if hidden else path)
            del error.filename2  # of a copy that failed, the first is the original
        raise


@contextmanager
def replacing(
    path: Path, *, suffix: str | None = None, prefix: str | None = None
) -> Iterator[Path]:
    """Yield a temporary file, which replaces ``path`` when the block ends.

    If the block raises, the path stays as it was and nothing is left beside it. A path that is a
    link is replaced itself: what it points to stays as it is.

    Args:
        path, suffix, prefix: as in ``make_part``.

    Raises:
        OSError: if the file can't be written.
    """
    _check_replaceable(path)
    with uninterrupted():
        part = make_part(path, suffix=suffix, prefix=prefix)
        mode = part.stat().st_mode
        try:
            with named_finally(part, path):
                with interruptible():
                    yield part
                if part.stat().st_mode != mode:  # the writer replaced the file
                    with suppress(OSError):  # some file systems have no modes to change
                        part.chmod(mode)
                _sync(part)
                os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def replace_all(moves: Sequence[tuple[Path, Path]], *, prefix: str | None = None) -> None:
    """Rename files: all of them, or none.

    What has the new names is kept beside them until the last file is renamed. If the process is
    killed meanwhile, some files are new and some are old.

    Args:
        moves: present and final path of each file.
        prefix: of the names under which older files are kept, as in ``make_part``.

    Raises:
        OSError: if one can't be renamed; all final paths are then as before.
    """
    for part, path in moves:
        _check_replaceable(path)
        with named_finally(part, path):
            _sync(part)
    with uninterrupted():
        _move(moves, prefix)


def _move(moves: Sequence[tuple[Path, Path]], prefix: str | None) -> None:
    kept: dict[Path, Path | None] = {}
    try:
        for part, path in moves:
            kept[path] = _keep(path, prefix)
            with named_finally(part, path):
                os.replace(part, path)
    except BaseException:
        for path, old in reversed(kept.items()):
            if old is None:
                path.unlink(missing_ok=True)
            else:
                with named_finally(old, path):
                    os.replace(old, path)
        raise
    finally:
        for old in kept.values():
            if old is not None:
                old.unlink(missing_ok=True)


def _check_replaceable(path: Path) -> None:
    """Raise FileExistsError for a device, pipe or socket, which a rename would replace."""
    with suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
            raise FileExistsError(f"{path} is a device or a pipe: choose the path of a file")


def _sync(path: Path) -> None:
    """Wait until a file's content is on the disk, so that no power cut leaves an empty new file.

    Raises:
        OSError: if the disk is full or failing; a disk that can't be waited for is not waited for.
    """
    handle = os.open(path, os.O_RDWR)  # some systems sync only what is open for writing
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno in (*_FULL, errno.EIO):
            error.filename = os.fspath(path)
            raise
    finally:
        os.close(handle)


def _keep(path: Path, prefix: str | None) -> Path | None:
    """Give a file a second name beside it, or only that where a disk has no links; None if none."""
    if not os.path.lexists(path):
        return None
    if path.is_dir() and not path.is_symlink():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    old = path.with_name(f"{_begin(path, prefix)}{secrets.token_hex(6)}{path.suffix}")
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
    part = path.with_name(f"{_begin(path, None)}{secrets.token_hex(6)}")
    with uninterrupted(), named_finally(part, path):
        part.mkdir()
        try:
            with interruptible():
                yield part
            try:
                part.rename(path)
            except OSError:
                if not path.is_dir():
                    raise
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def passing_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder with a name of its own in another one, removed when the block ends.

    One that a killed process left is removed by `sweep`, as every unfinished file is.

    Raises:
        OSError: if it can't be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{_begin(folder / 'x', None)}{secrets.token_hex(6)}"
    with uninterrupted():
        part.mkdir()
        try:
            with interruptible():
                yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)


def write_all(writers: Mapping[Path, Callable[[Path], object]]) -> None:
    """Write files by functions of a path: all of them appear, or none.

    Args:
        writers: by the path of each file, what writes it to another path.

    Raises:
        OSError: if one can't be written; all paths are then as before.
    """
    parts: list[tuple[Path, Path]] = []
    with uninterrupted():
        try:
            for path, write in writers.items():
                parts.append((make_part(path), path))
                with named_finally(*parts[-1]), interruptible():
                    write(parts[-1][0])
            replace_all(parts)
        finally:
            for part, _ in parts:
                part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, atomically.

    Raises:
        OSError: if the file can't be written.
    """
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_new_text(path: Path, text: str) -> None:
    """Write a text in UTF-8 where there is no file: a whole one appears, or none.

    Raises:
        FileExistsError: if something has that name, of several processes for all but one.
        OSError: if the file can't be written.
    """
    with uninterrupted():
        part = make_part(path)
        try:
            with named_finally(part, path):
                part.write_text(text, encoding="utf-8")
                _sync(part)
                _link(part, path)
        finally:
            part.unlink(missing_ok=True)


def _link(part: Path, path: Path) -> None:
    """Give a file a second name, or another one where a disk has no links."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        os.rename(part, path)


def sweep(folder: Path) -> None:
    """Remove the unfinished files and folders that dead processes of this machine left."""
    try:
        left = [each for each in folder.iterdir() if each.name.startswith(PART)]
    except OSError:
        return  # whoever writes there says why that fails
    for each in left:
        owner = _OWNED.fullmatch(each.name)
        if owner is None or owner[1] != _machine() or _is_alive(int(owner[2])):
            continue
        with suppress(OSError):
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each, ignore_errors=True)
            else:
                each.unlink()


def _begin(path: Path, prefix: str | None) -> str:
    """How the name of an unfinished file beside a path begins."""
    if prefix is not None:
        return prefix
    _sweep_once(path.parent.absolute(), os.getpid())
    return f"{PART}{_machine()}.{os.getpid()}-"


@cache
def _sweep_once(folder: Path, process: int) -> None:
    sweep(folder)


@cache
def _machine() -> str:
    """Eight digits that differ for machines and for containers, whose process ids mean others."""
    words = [socket.gethostname()]
    with suppress(OSError):
        words.append(Path("/etc/machine-id").read_text(encoding="utf-8", errors="replace"))
    with suppress(OSError):
        words.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256(os.fsencode("\n".join(words))).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    """Whether there is such a process, or may be: where that can't be asked, all are alive."""
    if os.name == "nt":  # where signal 0 is Ctrl-C
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True
