"""Processes that work side by side, and end whenever the process that began them does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TypeVar

from mss_shared.heap import keep_freed_memory
from mss_shared.stopping import uninterrupted

Item = TypeVar("Item")
Result = TypeVar("Result")


def work_on(
    task: Callable[[Item], Result], items: Iterable[Item], jobs: int
) -> Generator[tuple[Item, Result | None], None, None]:
    """Run a task on items in up to ``jobs`` processes; in this one if ``jobs`` is 1.

    An item is taken only when a process is free for it, so ``items`` may do work of their own.

    Args:
        task: picklable if there are several processes, as the items then are.
        items: in order.
        jobs: processes.

    Yields:
        Each item with its result as it is done; None if its process was killed.
    """
    if jobs == 1:
        for item in items:
            yield item, task(item)
        return
    with _pool(jobs) as pool:
        running: dict[Future[Result], Item] = {}
        for item in items:
            try:
                with uninterrupted(), _interrupts_held():
                    running[pool.submit(task, item)] = item
            except BrokenProcessPool:
                yield item, None
            while len(running) >= jobs:
                yield from _finished(running)
        while running:
            yield from _finished(running)


def _finished(running: dict[Future[Result], Item]) -> Iterator[tuple[Item, Result | None]]:
    """Wait until some are done; they are taken out."""
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        item = running.pop(future)
        try:
            yield item, future.result()
        except BrokenProcessPool:
            yield item, None


@contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end at once when the block ends, or this process does in any way."""
    # Spawned, not forked: the libraries' threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    alive, ours = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_follow, initargs=(alive,))
    try:
        yield pool
    finally:
        ours.close()
        pool.shutdown(wait=True, cancel_futures=True)
        alive.close()


def _follow(alive: Connection) -> None:
    """In a worker: leave Ctrl-C to the first process, end with it, and keep what is freed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()

    def watch() -> None:
        alive.poll(None)  # nothing is ever sent: it returns when the other end is closed
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Begin processes with Ctrl-C blocked, which they inherit; here, it acts after the block."""
    if os.name != "posix":
        yield
        return
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
