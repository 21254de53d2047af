"""Two halves of a stream at the same time: one thread makes what another one uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event, Semaphore
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def alongside(items: Iterable[Item], use: Callable[[Iterator[Item]], Result]) -> Result:
    """Use items in a thread of their own while the caller's thread makes the next ones.

    While one is in use only the next one is made; none are kept in store.

    Args:
        items: made in the caller's thread, where an interruption arrives.
        use: called once, in the other thread, with the same items. It sees an early end if making
            one fails, and what it then does is thrown away; if it fails, no more items are made.

    Returns:
        What ``use`` returned.

    Raises:
        What either of them raised, after both have ended.
    """
    made: SimpleQueue[tuple[Item, ...]] = SimpleQueue()  # an item, or () behind the last one
    wanted, ended = Semaphore(1), Event()

    def coming() -> Iterator[Item]:
        while item := made.get():
            yield item[0]
            wanted.release()

    def used() -> Result:
        try:
            return use(coming())
        finally:
            ended.set()
            wanted.release()

    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(used)
        try:
            for item in items:
                wanted.acquire()
                if ended.is_set():
                    break
                made.put((item,))
        finally:
            made.put(())
        return result.result()
