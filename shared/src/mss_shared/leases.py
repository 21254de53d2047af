"""Leases: lock files with a heartbeat.

The leases are filelock's. A lock file names its holder's host, PID namespace, process id and start
time, and is touched every ``BEAT_SECONDS``. If the holder is in the same PID namespace and dead,
the lock is taken over at once. Any other holder, even in a container with the same host name,
loses it once its file has not been touched for ``LEASE_SECONDS`` by the waiting process's clock.
A process that is killed before it has written its name leaves an empty file, which filelock takes
for a lock for ever: it is removed if nothing is written into it for ``BEAT_SECONDS``.
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import LeaseSettingsMismatch, SoftFileLease, Timeout

from mss_shared.stopping import interruptible

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

BEAT_SECONDS = 5.0
LEASE_SECONDS = 60.0


@dataclass(frozen=True)
class Holder:
    """A process that holds a lock.

    Attributes:
        process: its id and host, as its lock says.
        lock: the lock file.
    """

    process: str
    lock: Path


def make_lease(lock: Path) -> SoftFileLease:
    """The lease of a lock file, not yet taken."""
    return SoftFileLease(lock, lease_duration=LEASE_SECONDS, heartbeat_interval=BEAT_SECONDS)


def acquire(lease: SoftFileLease, patient: bool) -> Holder | None:
    """Take a lease; returns its holder if that is another process.

    To be called in ``uninterrupted``, with the release: signals act only while this waits.

    Args:
        lease: of ``make_lease``; its folder is made.
        patient: if another process holds it, wait until its next heartbeat, until it releases the
            lock, or until the lease expires.

    Raises:
        OSError: if the lock can't be written.
    """
    first, lock, began = touched(lease), Path(lease.lock_file), time.monotonic()
    # Longer than a lease, so that one without a heartbeat expires while waiting.
    end = began + (LEASE_SECONDS + BEAT_SECONDS if patient else 0.0)
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            lease.acquire(timeout=0)
        except FileNotFoundError:
            continue  # another process has just removed the empty folder
        except LeaseSettingsMismatch:
            return _holder(lease)
        except Timeout:
            if time.monotonic() >= end or touched(lease) not in (None, first):
                return _holder(lease)
            if time.monotonic() >= began + BEAT_SECONDS:
                _remove_empty(lock)
        except PermissionError:
            if not lock.exists():  # the folder is closed to this user, not the lock
                raise
            return _holder(lease)  # another user's
        except OSError as error:
            error.filename = error.filename or str(lock)  # a failing write does not say where
            raise
        else:
            return None
        with interruptible():
            time.sleep(BEAT_SECONDS / 20)


def touched(lease: SoftFileLease) -> tuple[int, int] | None:
    """Modification time and inode of a lock; None if there is none.

    The file is opened because network file systems answer a mere stat from their cache.
    """
    with suppress(OSError), open(lease.lock_file, "rb") as file:
        status = os.fstat(file.fileno())
        return status.st_mtime_ns, status.st_ino
    return None


def is_plain(lock: Path) -> bool:
    """Whether a lock is a file, or not there: no process of ours makes links, pipes or folders."""
    with suppress(FileNotFoundError):
        return stat.S_ISREG(lock.lstat().st_mode)
    return True


def check_plain(lock: Path) -> None:
    """Raise OSError for a lock that is no file, or whose folder is a link."""
    for path, is_odd in ((lock.parent, lock.parent.is_symlink()), (lock, not is_plain(lock))):
        if is_odd:
            raise OSError(f"{path} is a link or no plain file: remove it")


def _remove_empty(lock: Path) -> None:
    """Remove a lock without a name in it, if another process does not do so."""
    with suppress(FileNotFoundError), lock.open("rb") as file:
        if fcntl is not None:
            with suppress(OSError):  # of disks that lock no files
                fcntl.flock(file, fcntl.LOCK_EX)
        found = os.fstat(file.fileno())
        if found.st_size == 0 and os.path.samestat(found, lock.lstat()):
            lock.unlink()


def _holder(lease: SoftFileLease) -> Holder:
    owner = lease.owner
    process = "another process" if owner is None else f"process {owner.pid} on {owner.hostname}"
    return Holder(process, Path(lease.lock_file))
