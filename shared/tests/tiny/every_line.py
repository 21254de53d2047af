"""A signal at each line of some modules that a piece of work comes to, one after another."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType
from typing import Any

from mss_shared.stopping import stoppable


def signalled_at_every_line(
    work: Callable[[], object], *modules: ModuleType, number: int = signal.SIGTERM
) -> Iterator[BaseException | None]:
    """Do the work, stoppable, again and again, until it ends before the signal.

    Args:
        work: what to do.
        modules: whose lines count.
        number: of the signal.

    Yields:
        What each one raised; nothing for the last, which no signal has disturbed.
    """
    files, line = {module.__file__ for module in modules}, 0
    came = True
    while came:
        line += 1
        came, raised = _signalled_at(work, files, line, number)
        if came:
            yield raised


def _signalled_at(
    work: Callable[[], object], files: set[str | None], line: int, number: int
) -> tuple[bool, BaseException | None]:
    left = line

    def enter(frame: FrameType, event: str, argument: object) -> Any:
        return step if frame.f_code.co_filename in files else None

    def step(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        if event == "exception" and isinstance(argument, tuple):
            if issubclass(argument[0], SystemExit | KeyboardInterrupt):
                sys.settrace(None)  # at the end of a ``with``, Python would lose track of it
                frame.f_trace = None
                return None
        left -= event == "line"
        if left == 0:
            left = -1
            sys.settrace(None)
            signal.raise_signal(number)
        return step

    before = sys.gettrace()
    try:
        with stoppable():
            try:
                sys.settrace(enter)
                work()
            finally:
                sys.settrace(before)
    except BaseException as error:
        return left < 0, error
    return left < 0, None
