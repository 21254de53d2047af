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
        use: called once, in the other thread, with the same items. If making one fails, waiting
            for it raises, so that ``use`` does not take what came for the whole; if ``use`` fails,
            no more items are made.

    Returns:
        What ``use`` returned.

    Raises:
        What either of them raised, after both have ended.
    """
    # An item, () behind the last one, or None if there should have been more.
    made: SimpleQueue[tuple[Item, ...] | None] = SimpleQueue()
    wanted, ended = Semaphore(1), Event()

    def coming() -> Iterator[Item]:
        while item := made.get():
            yield item[0]
            wanted.release()
        if item is None:
            raise RuntimeError("the items broke off")  # of no interest beside their maker's error

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
        except BaseException:
            made.put(None)
            raise
        made.put(())
        return result.result()
