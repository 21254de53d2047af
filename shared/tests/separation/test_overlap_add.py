"""Overlap-add: a model that returns its input is passed through, whatever the cut."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.chunks import plan_chunks
from mss_shared.separation.overlap_add import separate, separate_blocks

RATE = 1_000


class Through(nn.Module):
    """Returns its input as the first stem and its negative half as the second."""

    def __init__(self, channels: int = 2, sample_rate: int = RATE) -> None:
        super().__init__()
        self.stems = ("vocals", "drums")
        self.sample_rate = sample_rate
        self.channels = channels
        self.seen: list[tuple[int, ...]] = []
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, mixture: Tensor) -> Tensor:
        self.seen.append(tuple(mixture.shape))
        return self.gain * torch.stack([mixture, -0.5 * mixture], dim=1)


def signal(samples: int, channels: int = 2) -> Tensor:
    return torch.randn(channels, samples, generator=torch.Generator().manual_seed(samples))


def cut(chunk_seconds: float, overlap: float) -> InferenceConfig:
    return InferenceConfig(chunk_seconds, overlap, 0.0, "triangle", "none")


configs = st.builds(
    cut,
    chunk_seconds=st.sampled_from([0.0, 0.001, 0.002, 0.017, 0.1, 0.256, 5.0]),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.9]) | st.floats(0.0, 0.95),
)


@settings(max_examples=60)
@given(samples=st.integers(1, 700), config=configs, batch=st.integers(1, 5))
def test_a_model_that_returns_its_input_is_passed_through(
    samples: int, config: InferenceConfig, batch: int
) -> None:
    mixture = signal(samples)
    estimates = separate(Through(), mixture, config, batch=batch)
    assert estimates.shape == (2, 2, samples) and estimates.dtype == torch.float32
    torch.testing.assert_close(estimates[0], mixture, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(estimates[1], -0.5 * mixture, rtol=1e-5, atol=1e-6)


@settings(max_examples=40)
@given(samples=st.integers(1, 700), config=configs, batch=st.integers(1, 5))
def test_the_model_sees_pieces_of_one_length_and_at_most_a_batch_of_them(
    samples: int, config: InferenceConfig, batch: int
) -> None:
    model = Through()
    separate(model, signal(samples), config, batch=batch)
    size = min(round(config.chunk_seconds * RATE) or samples, samples)
    assert {shape[1:] for shape in model.seen} == {(2, size)}
    assert all(shape[0] <= batch for shape in model.seen)
    plan = plan_chunks(samples, config, RATE)
    assert plan.size == size and sum(shape[0] for shape in model.seen) == len(plan.starts)


@settings(max_examples=40)
@given(samples=st.integers(1, 700), config=configs, batch=st.integers(1, 5))
def test_blocks_read_piece_by_piece_are_together_the_whole_bit_for_bit(
    samples: int, config: InferenceConfig, batch: int
) -> None:
    mixture = signal(samples)
    reads: list[tuple[int, int]] = []

    def read(start: int, count: int) -> Tensor:
        reads.append((start, count))
        assert 0 <= start and start + count <= samples
        return mixture[:, start : start + count]

    blocks = list(separate_blocks(Through(), read, samples, config, batch=batch))
    whole = separate(Through(), mixture, config, batch=batch)
    assert torch.equal(torch.cat(blocks, dim=-1), whole)
    covered = np.zeros(samples, bool)
    for start, count in reads:
        covered[start : start + count] = True
    assert covered.all()


def test_blocks_come_as_soon_as_their_piece_is_read() -> None:
    reads = []

    def read(start: int, count: int) -> Tensor:
        reads.append(start)
        return torch.zeros(2, count)

    blocks: Iterator[Tensor] = separate_blocks(Through(), read, 100_000, cut(0.1, 0.5), batch=3)
    for number, block in enumerate(blocks):
        assert len(reads) <= 3 * (number // 3 + 1)  # never more than the current batch ahead
        assert block.shape[-1] <= 100
    assert len(reads) == number + 1 == len(range(0, 100_000 - 100, 50)) + 1


def test_the_batch_changes_nothing_but_speed() -> None:
    mixture, config = signal(997), cut(0.1, 0.5)
    one, four = (separate(Through(), mixture, config, batch=batch) for batch in (1, 4))
    assert torch.equal(one, four)


def test_pieces_are_weighted_by_a_triangle_where_they_overlap() -> None:
    class Counting(Through):
        def forward(self, mixture: Tensor) -> Tensor:
            self.seen.append(tuple(mixture.shape))
            return torch.full((1, 2, *mixture.shape[1:]), float(len(self.seen) - 1))

    estimate = separate(Counting(), signal(6), cut(0.004, 0.5))[0, 0]
    # Weights 1 2 2 1 of piece 0 on samples 0 to 3 and of piece 1 on samples 2 to 5.
    assert estimate.tolist() == pytest.approx([0.0, 0.0, 1 / 3, 2 / 3, 1.0, 1.0])


def test_progress_counts_the_pieces() -> None:
    told: list[tuple[str, int, int]] = []
    separate(
        Through(),
        signal(1_000),
        cut(0.1, 0.0),
        batch=4,
        progress=lambda *words: told.append(words),
    )
    assert told == [("", done, 10) for done in range(1, 11)]


@pytest.mark.parametrize("overlap", [-0.1, 1.0, 1.5, float("nan")])
def test_an_overlap_outside_its_range_is_refused(overlap: float) -> None:
    with pytest.raises(ValueError, match=r"overlap is .*: give at least 0 and less than 1"):
        separate(Through(), signal(10), cut(0.1, overlap))


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan"), 1e-9])
def test_a_piece_without_a_usable_length_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"chunk_seconds is .*: give .* 0\.0 for the whole song"):
        separate(Through(), signal(10), cut(seconds, 0.5))


@pytest.mark.parametrize("batch", [0, -2])
def test_a_batch_below_one_is_refused(batch: int) -> None:
    with pytest.raises(ValueError, match=f"batch is {batch}: give at least one"):
        separate(Through(), signal(10), cut(0.0, 0.5), batch=batch)


@pytest.mark.parametrize("shape", [(10,), (1, 10), (3, 10), (2, 0), (1, 2, 10)])
def test_a_mixture_of_another_shape_is_refused_with_both(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"is \({shape[0]}.*the model takes \(2, sample\): pass"):
        separate(Through(), torch.zeros(shape), cut(0.0, 0.0))


@pytest.mark.parametrize("config", [cut(0.0, 0.0), cut(0.1, 0.5)])
def test_what_is_separated_is_an_ordinary_tensor(config: InferenceConfig) -> None:
    found = separate(Through(), torch.rand(2, 300), config)
    found *= 0.5
    weight = torch.ones((), requires_grad=True)
    (weight * found).sum().backward()
    assert weight.grad is not None
