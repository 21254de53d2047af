"""Locks on songs, and cleaning up after a holder that died."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import SoftFileLease

from mss_shared.atomic import PART
from mss_shared.leases import Holder, acquire, check_plain, is_plain, make_lease, touched
from mss_shared.stopping import uninterrupted

LOCKS = ".separated"
_OURS = re.compile("[0-9a-f]{16}")  # with other names, unfinished files of others would go


@contextmanager
def locked(out: Path, name: str, *, patient: bool = False) -> Iterator[Holder | None]:
    """Hold a song while the block runs; yields None, or who holds it instead.

    If the holder has died, the song is taken over and its unfinished files are removed.
    In a command: ``with uninterrupted(), locked(out, name) as holder, interruptible():``.

    Args:
        out: the output folder.
        name: of the song.
        patient: if another process holds the song, wait until its next heartbeat, until it releases
            the song, or until its lease expires.

    Raises:
        OSError: if the lock can't be written.
    """
    lease = _lease(out, name)
    check_plain(_lock(out, name))
    was_locked = touched(lease) is not None
    holder = acquire(lease, patient)
    try:
        if holder is None and was_locked:  # by a process that died, or has just finished
            _sweep(out, name)
        yield holder
    finally:
        if holder is None:
            lease.release()


def holds(out: Path, name: str) -> bool:
    """Whether this process still holds a song: after a long suspension it may have lost it."""
    return _lease(out, name).is_lock_held_by_us


def clear(out: Path) -> None:
    """Remove the locks of dead processes and their unfinished files."""
    if (out / LOCKS).is_symlink():
        return
    for lock in sorted((out / LOCKS).glob("*.lock")):
        if not _OURS.fullmatch(lock.stem) or not is_plain(lock):
            continue
        lease = make_lease(lock)
        with uninterrupted():
            if acquire(lease, patient=False) is None:
                for part in out.rglob(f"{_prefix(lock)}*"):
                    part.unlink(missing_ok=True)
                lease.release()


def part_prefix(out: Path, name: str) -> str:
    """Prefix of the names of a song's unfinished files; the next holder may remove them."""
    return _prefix(_lock(out, name))


def _lock(out: Path, name: str) -> Path:
    return out / LOCKS / f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.lock"


def _prefix(lock: Path) -> str:
    return f"{PART}{lock.stem}-"


def _lease(out: Path, name: str) -> SoftFileLease:
    return make_lease(_lock(out, name))


def _sweep(out: Path, name: str) -> None:
    """Remove a song's unfinished files, in whatever folder its file name pattern had put them."""
    for part in out.rglob(f"{part_prefix(out, name)}*"):
        part.unlink(missing_ok=True)
