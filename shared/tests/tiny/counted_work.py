"""What a call takes, counted: a slow path shows without a clock."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

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
    """What a second call takes, in all threads that it begins; the first fills what is kept."""
    act()
    before = _read_and_written()
    act()
    after = _read_and_written()
    return Work(after[0] - before[0], after[1] - before[1], _calls(act))


def _calls(act: Callable[[], object]) -> int:
    found: list[CodeType] = []

    def heard(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and _is_ours(frame.f_code):
            found.append(frame.f_code)

    threading.setprofile(heard)
    sys.setprofile(heard)
    try:
        act()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return len(found)


def _is_ours(code: CodeType) -> bool:
    """Whether it is a function of the library; comprehensions are none from Python 3.12 on."""
    return code.co_filename.startswith(_LIBRARY) and not code.co_name.endswith("comp>")


def _read_and_written() -> tuple[int, int]:
    lines = dict(line.split(": ") for line in _IO.read_text().splitlines())
    return int(lines["rchar"]), int(lines["wchar"])
