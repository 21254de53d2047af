"""Locks of processes that are not here."""

from pathlib import Path

from mss_shared import leases
from mss_shared.separation.batch import locks

OTHER_HOST = """\
filelock/2
pid={pid}
host={host}
mode=lease
token=0123456789abcdef
duration={seconds!r}
start={start}
"""


def lock_of_another_host(
    out: Path, name: str, host: str = "elsewhere", pid: int = 1, start: int = 1
) -> Path:
    """A song's lock as a process of another host leaves it."""
    lock = locks._lock(out, name)
    lock.parent.mkdir(parents=True, exist_ok=True)
    seconds = leases.LEASE_SECONDS
    lock.write_text(OTHER_HOST.format(pid=pid, host=host, start=start, seconds=seconds))
    return lock
