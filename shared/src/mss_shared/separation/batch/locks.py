"""Locks on songs: a lease with a heartbeat, and cleaning up after a holder that died.

The leases are filelock's. A lock file names its holder's host, PID namespace, process id and start
time, and is touched every ``BEAT_SECONDS``. If the holder is in the same PID namespace and dead,
its songs are taken over at once. Any other holder, even in a container with the same host name,
loses them once its file has not been touched for ``LEASE_SECONDS`` by the waiting process's clock.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import LeaseSettingsMismatch, SoftFileLease, Timeout

from mss_shared.atomic import PART

LOCKS = ".separated"
BEAT_SECONDS = 5.0
LEASE_SECONDS = 60.0


@dataclass(frozen=True)
class Holder:
    """A process that holds a song.

    Attributes:
        process: its id and host, as its lock says.
        lock: the lock file.
    """

    process: str
    lock: Path


@contextmanager
def locked(out: Path, name: str, *, patient: bool = False) -> Iterator[Holder | None]:
    """Hold a song while the block runs; yields None, or who holds it instead.

    If the holder has died, the song is taken over and its unfinished files are removed.

    Args:
        out: the output folder.
        name: of the song.
        patient: if another process holds the song, wait until its next heartbeat, until it releases
            the song, or until its lease expires.

    Raises:
        OSError: if the lock can't be written.
    """
    lease = _lease(out, name)
    _check_plain(_lock(out, name))
    was_locked = _touched(lease) is not None
    holder = _acquire(lease, patient)
    if holder is not None:
        yield holder
        return
    try:
        if was_locked:  # by a process that died, or has just finished
            _sweep(out, name)
        yield None
    finally:
        lease.release()


def holds(out: Path, name: str) -> bool:
    """Whether this process still holds a song: after a long suspension it may have lost it."""
    return _lease(out, name).is_lock_held_by_us


def clear(out: Path) -> None:
    """Remove the locks of dead processes and their unfinished files."""
    if (out / LOCKS).is_symlink():
        return
    for lock in sorted((out / LOCKS).glob("*.lock")):
        if not _is_plain(lock):
            continue
        lease = _open(lock)
        if _acquire(lease, patient=False) is None:
            for part in out.rglob(f"{_prefix(lock)}*"):
                part.unlink(missing_ok=True)
            lease.release()


def part_prefix(out: Path, name: str) -> str:
    """Prefix of the names of a song's unfinished files; the next holder may remove them."""
    return _prefix(_lock(out, name))


def _is_plain(lock: Path) -> bool:
    """Whether a lock is a file, or not there: no process of ours makes links, pipes or folders."""
    with suppress(FileNotFoundError):
        return stat.S_ISREG(lock.lstat().st_mode)
    return True


def _check_plain(lock: Path) -> None:
    """Raise OSError for a lock that is no file, or whose folder is a link."""
    for path, is_odd in ((lock.parent, lock.parent.is_symlink()), (lock, not _is_plain(lock))):
        if is_odd:
            raise OSError(f"{path} is a link or no plain file: remove it")


def _lock(out: Path, name: str) -> Path:
    return out / LOCKS / f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.lock"


def _prefix(lock: Path) -> str:
    return f"{PART}{lock.stem}-"


def _lease(out: Path, name: str) -> SoftFileLease:
    return _open(_lock(out, name))


def _open(lock: Path) -> SoftFileLease:
    return SoftFileLease(lock, lease_duration=LEASE_SECONDS, heartbeat_interval=BEAT_SECONDS)


def _acquire(lease: SoftFileLease, patient: bool) -> Holder | None:
    """Take a song; returns its holder if that is another process."""
    first = _touched(lease)

    def beats() -> bool:
        return _touched(lease) not in (None, first)

    lock = Path(lease.lock_file)
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            if patient:
                # Longer than a lease, so that one without a heartbeat expires while waiting.
                wait, pause = LEASE_SECONDS + BEAT_SECONDS, BEAT_SECONDS / 20
                lease.acquire(timeout=wait, poll_interval=pause, cancel_check=beats)
            else:
                lease.acquire(timeout=0)
        except FileNotFoundError:
            continue  # another process has just removed the empty folder
        except (Timeout, LeaseSettingsMismatch):
            return _holder(lease)
        except PermissionError:
            if not lock.exists():  # the folder is closed to this user, not the lock
                raise
            return _holder(lease)  # another user's
        return None


def _holder(lease: SoftFileLease) -> Holder:
    owner = lease.owner
    process = "another process" if owner is None else f"process {owner.pid} on {owner.hostname}"
    return Holder(process, Path(lease.lock_file))


def _sweep(out: Path, name: str) -> None:
    """Remove a song's unfinished files, in whatever folder its file name pattern had put them."""
    for part in out.rglob(f"{part_prefix(out, name)}*"):
        part.unlink(missing_ok=True)


def _touched(lease: SoftFileLease) -> tuple[int, int] | None:
    """Modification time and inode of a lock; None if there is none.

    The file is opened because network file systems answer a mere stat from their cache.
    """
    with suppress(OSError), open(lease.lock_file, "rb") as file:
        status = os.fstat(file.fileno())
        return status.st_mtime_ns, status.st_ino
    return None
