"""Making and using at the same time: same items, none in store, and what goes wrong is told."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_models import CHUNKS, RATE, Through
from tiny_songs import noise
from torch import Tensor, nn

from mss_shared import audio
from mss_shared.separation.output.options import Delivery
from mss_shared.separation.output.stem_files import StemFiles
from mss_shared.separation.separate import separate_file
from mss_shared.separation.writer_thread import alongside

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


class Elsewhere(Through):
    """Stands for a model on a GPU: its weights are not on the CPU, and it counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones((), device="meta"))
        self.calls = threading.Semaphore(0)

    def forward(self, mixture: Tensor) -> Tensor:
        self.calls.release()
        return torch.full((len(mixture), 2, *mixture.shape[1:]), 0.25)


def test_off_the_cpu_chunks_are_separated_while_the_one_before_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, plain, blocks = Elsewhere(), StemFiles.write, []

    def write(self: StemFiles, values: NDArray[np.float64]) -> None:
        blocks.append(values)
        if len(blocks) == 1:
            assert all(model.calls.acquire(timeout=30.0) for _ in range(2))
        plain(self, values)

    monkeypatch.setattr(StemFiles, "write", write)
    audio.write(tmp_path / "song.wav", noise(0, 2, 1_000), RATE)
    done = separate_file(model, tmp_path / "song.wav", tmp_path, CHUNKS, Delivery())
    assert np.array_equal(audio.read(done.paths["vocals"]), np.full((2, 1_000), 0.25))


def test_off_the_cpu_nothing_more_is_written_once_a_chunk_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Breaking(Elsewhere):
        def forward(self, mixture: Tensor) -> Tensor:
            calls.append(mixture.shape[-1])
            if len(calls) == 3:
                raise RuntimeError("broken")
            return super().forward(mixture)

    def write(self: StemFiles, values: NDArray[np.float64]) -> None:
        written.append(values.shape[-1])

    calls: list[int] = []
    written: list[int] = []
    monkeypatch.setattr(StemFiles, "write", write)
    audio.write(tmp_path / "song.wav", noise(0, 2, 20_000), 2 * RATE)
    with pytest.raises(RuntimeError, match="broken"):
        separate_file(Breaking(), tmp_path / "song.wav", tmp_path / "out", CHUNKS, Delivery())
    assert sum(written) <= 2 * sum(calls)
    assert not [*(tmp_path / "out").rglob("*.wav")]
