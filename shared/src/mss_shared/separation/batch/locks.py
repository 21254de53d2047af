"""Which process is at a song: a lock with a heartbeat, and what a dead holder left behind.

A lock is a file that says process, host and the process's start, and that its holder touches every
``BEAT_SECONDS``. A process of this host is asked for by its number. Of another host there is only
the heartbeat: ``STALE_SECONDS`` without it, and the process counts as dead.
"""

from __future__ import annotations

import hashlib
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from mss_shared.atomic import _prefix, identity

LOCKS = ".separated"
BEAT_SECONDS = 5.0
DOUBT_BEATS = 3  # without so many, a process of another host may be dead
STALE_SECONDS = 120.0
TURN_SECONDS = 10.0  # of what takes a thousandth
_FILL_TRIES = 20


@dataclass(frozen=True)
class Holder:
    """A process that has a song.

    Attributes:
        process: what its lock says.
        lock: the file.
        silent_seconds: how long it has not been touched; 0.0 of a process that is known to run.
    """

    process: str
    lock: Path
    silent_seconds: float

    @property
    def is_doubtful(self) -> bool:
        """Whether it may be dead, though not yet for sure."""
        return self.silent_seconds > DOUBT_BEATS * BEAT_SECONDS


@contextmanager
def locked(out: Path, name: str) -> Iterator[Holder | None]:
    """Hold a song while the block runs: None, or who else holds it.

    The lock of a process that is dead is taken over, and its unfinished files are removed.
    """
    lock = _lock(out, name)
    holder = _acquire(lock)
    if holder is not None:
        yield holder
        return
    ended = Event()
    heart = Thread(target=_beat, args=(lock, ended), daemon=True)
    heart.start()
    try:
        yield None
    finally:
        ended.set()
        heart.join()
        if _read(lock) == identity(os.getpid()):
            lock.unlink(missing_ok=True)


def holds(out: Path, name: str) -> bool:
    """Whether a song is still this process's: one that slept for long may have lost it."""
    return _read(_lock(out, name)) == identity(os.getpid())


def await_beat(holder: Holder) -> None:
    """Wait until a lock is touched, removed, or its holder in doubt."""
    first = _touched(holder.lock)
    while _touched(holder.lock) == first is not None:
        found = _look(holder.lock)
        if found is None or not found.silent_seconds or found.is_doubtful:
            return
        time.sleep(BEAT_SECONDS / 10)


def clear(out: Path) -> None:
    """Remove the locks of dead processes, and the files they had begun."""
    for lock in sorted((out / LOCKS).glob("*.lock")):
        if _look(lock) is None:
            _bury(lock)


def _lock(out: Path, name: str) -> Path:
    return out / LOCKS / f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.lock"


def _beat(lock: Path, ended: Event) -> None:
    while not ended.wait(BEAT_SECONDS):
        with suppress(OSError):
            if _read(lock) == identity(os.getpid()):
                os.utime(lock)


def _acquire(lock: Path) -> Holder | None:
    """Make the lock; who holds it if that is another living process."""
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            holder = _look(lock)
        except FileNotFoundError:
            continue  # another process has removed the empty folder
        else:
            os.write(handle, identity(os.getpid()).encode())
            os.close(handle)
            return None
        if holder is not None:
            return holder
        _bury(lock)


def _bury(lock: Path) -> None:
    """Take a dead process's lock away, one process at a time: the next may be a living one's."""
    process = _read(lock)
    if process and _look(lock) is None:
        _sweep(lock.parent.parent, process)
    turn = lock.with_suffix(".turn")
    try:
        os.close(os.open(turn, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    except FileNotFoundError:
        return  # with the whole folder
    except FileExistsError:
        with suppress(FileNotFoundError):
            if time.time() - turn.stat().st_mtime > TURN_SECONDS:  # killed in its turn
                turn.unlink()
        time.sleep(0.01)
        return
    try:
        if _read(lock) is not None and _look(lock) is None:  # not one that has just gone
            lock.unlink(missing_ok=True)
    finally:
        turn.unlink(missing_ok=True)


def _sweep(out: Path, process: str) -> None:
    """Remove what a dead process began to write, wherever a pattern had put it."""
    for part in out.rglob(f"{_prefix(process)}*"):
        part.unlink(missing_ok=True)


def _read(lock: Path) -> str | None:
    """What a lock says; None if it is gone, '' if it is empty for longer than filling it takes."""
    for _ in range(_FILL_TRIES):
        try:
            text = lock.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        if text:
            return text
        time.sleep(0.01)
    return ""


def _look(lock: Path) -> Holder | None:
    """Who holds a lock; None if it is gone or its process is dead."""
    process = _read(lock) or ""
    words = process.split()
    if len(words) != 6 or not words[1].isdigit():
        return None
    if words[3] != f"{socket.gethostname()},":
        silent = _silence(lock)
        return Holder(process, lock, silent) if silent <= STALE_SECONDS else None
    try:
        os.kill(int(words[1]), 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        return Holder(process, lock, 0.0)  # another user's
    return Holder(process, lock, 0.0) if identity(int(words[1])) == process else None


def _silence(lock: Path) -> float:
    """Seconds since a lock was touched, by the clock of its own file system."""
    touched = _touched(lock)
    if touched is None:
        return 0.0
    with suppress(FileNotFoundError):  # gone with the folder
        with tempfile.NamedTemporaryFile(suffix=".now", dir=lock.parent) as probe:
            # A touch in the same instant may look later than the probe.
            return max(1e-6, os.fstat(probe.fileno()).st_mtime - touched)
    return 0.0


def _touched(lock: Path) -> float | None:
    """When a lock was touched: opened, as network file systems answer others from memory."""
    try:
        with lock.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return None
