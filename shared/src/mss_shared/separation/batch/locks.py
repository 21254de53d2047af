"""Which process is at a song: a lease with a heartbeat, and what a dead holder left behind.

The leases are filelock's. A holder's file names its machine, PID namespace, process and the
process's start, and is touched every ``BEAT_SECONDS``. A process of the same namespace that is dead
loses its songs at once; any other one, also in a container of the same host name, when its file was
not touched for ``LEASE_SECONDS`` of the clock of who watches it.
"""

from __future__ import annotations

import hashlib
import os
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
    """A process that has a song.

    Attributes:
        process: what its lock says.
        lock: the file.
    """

    process: str
    lock: Path


@contextmanager
def locked(out: Path, name: str, *, patient: bool = False) -> Iterator[Holder | None]:
    """Hold a song while the block runs: gives None, or who else holds it.

    Of a process that is dead the song is taken over, and its unfinished files are removed.

    Args:
        out: the output folder.
        name: the song's.
        patient: watch another process's heartbeat: until it beats, ends, or counts as dead.

    Raises:
        OSError: if the disk refuses.
    """
    lease = _lease(out, name)
    left = _touched(lease) is not None  # by a process that may be dead
    holder = _acquire(lease, patient)
    if holder is not None:
        yield holder
        return
    try:
        if left:
            _sweep(out, name)
        yield None
    finally:
        lease.release()


def holds(out: Path, name: str) -> bool:
    """Whether a song is still this process's: one that slept for long may have lost it."""
    return _lease(out, name).is_lock_held_by_us


def clear(out: Path) -> None:
    """Remove the locks of dead processes, and the files they had begun."""
    for lock in sorted((out / LOCKS).glob("*.lock")):
        lease = _open(lock)
        if _acquire(lease, patient=False) is None:
            for part in out.rglob(f"{_prefix(lock)}*"):
                part.unlink(missing_ok=True)
            lease.release()


def part_prefix(out: Path, name: str) -> str:
    """How the names of a song's unfinished files begin; who holds the song may remove them."""
    return _prefix(_lock(out, name))


def _lock(out: Path, name: str) -> Path:
    return out / LOCKS / f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.lock"


def _prefix(lock: Path) -> str:
    return f"{PART}{lock.stem}-"


def _lease(out: Path, name: str) -> SoftFileLease:
    return _open(_lock(out, name))


def _open(lock: Path) -> SoftFileLease:
    return SoftFileLease(lock, lease_duration=LEASE_SECONDS, heartbeat_interval=BEAT_SECONDS)


def _acquire(lease: SoftFileLease, patient: bool) -> Holder | None:
    """Take a song; who holds it if that is another process."""
    first = _touched(lease)

    def beats() -> bool:
        return _touched(lease) not in (None, first)

    lock = Path(lease.lock_file)
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            if patient:
                # Longer than a lease, so that a silent one ends within it.
                wait, pause = LEASE_SECONDS + BEAT_SECONDS, BEAT_SECONDS / 20
                lease.acquire(timeout=wait, poll_interval=pause, cancel_check=beats)
            else:
                lease.acquire(timeout=0)
        except FileNotFoundError:
            continue  # another process has removed the empty folder
        except (Timeout, LeaseSettingsMismatch, PermissionError):
            return _holder(lease)
        return None


def _holder(lease: SoftFileLease) -> Holder:
    owner = lease.owner
    process = "another process" if owner is None else f"process {owner.pid} on {owner.hostname}"
    return Holder(process, Path(lease.lock_file))


def _sweep(out: Path, name: str) -> None:
    """Remove what a dead process began to write of a song, wherever a pattern had put it."""
    for part in out.rglob(f"{part_prefix(out, name)}*"):
        part.unlink(missing_ok=True)


def _touched(lease: SoftFileLease) -> tuple[int, int] | None:
    """When a lock was touched, and which file it is; None if there is none.

    It is opened, as network file systems answer others from memory.
    """
    with suppress(OSError), open(lease.lock_file, "rb") as file:
        found = os.fstat(file.fileno())
        return found.st_mtime_ns, found.st_ino
    return None
