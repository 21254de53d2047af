"""A producer and a consumer of a stream in two threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from threading import Event, Semaphore
from typing import TypeVar

from mss_shared.cores import Threads

Item = TypeVar("Item")
Result = TypeVar("Result")


def alongside(items: Iterable[Item], use: Callable[[Iterator[Item]], Result]) -> Result:
    """Consume items in a second thread while the calling thread produces the next ones.

    Production stays one item ahead, so that memory holds no more than two.

    Args:
        items: produced in the calling thread, which is where a KeyboardInterrupt arrives.
        use: called once, in the second thread, with an iterator over the items. If production
            fails, this iterator raises, so that ``use`` does not mistake a part for the whole; if
            ``use`` fails, production stops.

    Returns:
        What ``use`` returned.

    Raises:
        What either of them raised, after both have ended.
    """
    # Holds (item,), or () after the last one, or None if production failed.
    queue: SimpleQueue[tuple[Item, ...] | None] = SimpleQueue()
    wanted, ended = Semaphore(1), Event()

    def consume_items() -> Iterator[Item]:
        while item := queue.get():
            yield item[0]
            wanted.release()
        if item is None:
            # Only to stop ``use``: the caller sees the producer's own error.
            raise RuntimeError("the items ended early")

    def run_consumer() -> Result:
        try:
            return use(consume_items())
        finally:
            ended.set()
            wanted.release()

    with Threads(1) as pool:
        try:
            result = pool.submit(run_consumer)
            for item in items:
                wanted.acquire()
                if ended.is_set():
                    break
                queue.put((item,))
            queue.put(())
        except BaseException:  # a signal may come anywhere
            queue.put(None)
            raise
        return result.result()
