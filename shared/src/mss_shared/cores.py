"""How many threads or processes can work at once, and threads that signals leave whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from mss_shared.stopping import uninterrupted

Result = TypeVar("Result")


def cpu_count() -> int:
    """CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Threads(ThreadPoolExecutor):
    """A pool whose threads have all ended when it has, whenever a signal comes.

    One that comes between a thread's start and its being noted down, or while the pool waits for
    it, would leave it running: files would be closed while they are written.
    """

    def submit(
        self, act: Callable[..., Result], /, *arguments: Any, **named: Any
    ) -> Future[Result]:
        """As in ``ThreadPoolExecutor``."""
        with uninterrupted():
            return super().submit(act, *arguments, **named)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As in ``ThreadPoolExecutor``; what waits for long tasks makes them end before."""
        with uninterrupted():
            super().shutdown(wait, cancel_futures=cancel_futures)
