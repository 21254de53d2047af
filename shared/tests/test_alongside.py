"""Making and using at the same time: same items, none in store, and what goes wrong is told."""

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss_shared.separation.alongside import alongside

PATIENCE = 30.0


@given(count=st.integers(0, 20))
def test_all_items_are_used_in_order_and_in_another_thread(count: int) -> None:
    threads = set()

    def use(items: Iterator[int]) -> list[int]:
        threads.add(threading.current_thread())
        return [*items]

    def make() -> Iterator[int]:
        for number in range(count):
            threads.add(threading.current_thread())
            yield number

    assert alongside(make(), use) == [*range(count)]
    assert len(threads) == (2 if count else 1)


def test_an_item_is_made_while_the_one_before_is_used() -> None:
    made = [threading.Event() for _ in range(3)]

    def make() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    def use(items: Iterator[int]) -> None:
        for number in items:
            assert made[min(number + 1, 2)].wait(PATIENCE)

    alongside(make(), use)


def test_no_item_is_made_before_the_last_but_one_was_used() -> None:
    used: list[int] = []
    early = []

    def make() -> Iterator[int]:
        for number in range(50):
            early.append(number - 1 - len(used))
            yield number

    def use(items: Iterator[int]) -> None:
        for number in items:
            time.sleep(0.001)
            used.append(number)

    alongside(make(), use)
    assert used == [*range(50)]
    assert max(early) <= 0


@given(at=st.integers(0, 5))
def test_what_fails_while_making_is_raised_and_the_use_does_not_go_on(at: int) -> None:
    used: list[int] = []
    beyond = []

    def make() -> Iterator[int]:
        yield from range(at)
        raise ValueError("no more")

    def use(items: Iterator[int]) -> None:
        for number in items:
            used.append(number)
        beyond.append("the end")

    with pytest.raises(ValueError, match="no more"):
        alongside(make(), use)
    assert used == [*range(at)]
    assert not beyond


@given(at=st.integers(0, 5))
def test_what_fails_in_the_use_is_raised_and_no_more_is_made(at: int) -> None:
    made = []

    def make() -> Iterator[int]:
        for number in range(1_000_000):
            made.append(number)
            yield number

    def use(items: Iterator[int]) -> None:
        for number in items:
            if number == at:
                raise OSError("full")

    with pytest.raises(OSError, match="full"):
        alongside(make(), use)
    assert len(made) <= at + 2


def test_a_use_may_end_early() -> None:
    assert alongside(iter(range(1_000_000)), next) == 0
    assert alongside(iter(range(5)), lambda _: "nothing") == "nothing"
