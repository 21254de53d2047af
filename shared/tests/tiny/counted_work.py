"""What a call takes, counted: a slow path shows without a clock."""

from __future__ import annotations

import cProfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import mss_shared

_IO = Path("/proc/self/io")
COUNTABLE = _IO.is_file()  # where the system counts what a process reads and writes
_LIBRARY = str(Path(mss_shared.__file__).parent)


class Work(NamedTuple):
    """Bytes that the process reads and writes, and calls of functions of the library."""

    read: int
    written: int
    calls: int

    def __sub__(self, other: Work) -> Work:
        """What one takes more than the other."""
        return Work(*(mine - its for mine, its in zip(self, other, strict=True)))


def work_of(act: Callable[[], object]) -> Work:
    """What a second call takes; the first fills what is kept. It is this thread's calls."""
    act()
    before = _read_and_written()
    act()
    after = _read_and_written()
    profile = cProfile.Profile()
    profile.runcall(act)
    calls = sum(entry.callcount for entry in profile.getstats() if _is_ours(entry.code))
    return Work(after[0] - before[0], after[1] - before[1], calls)


def _is_ours(code: Any) -> bool:
    """Whether it is a function of the library; comprehensions are none from Python 3.12 on."""
    of_library = getattr(code, "co_filename", "").startswith(_LIBRARY)
    return of_library and not code.co_name.endswith("comp>")


def _read_and_written() -> tuple[int, int]:
    lines = dict(line.split(": ") for line in _IO.read_text().splitlines())
    return int(lines["rchar"]), int(lines["wchar"])
