import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mss_shared.recipe import InferenceConfig
from mss_shared.separate import plan_pieces, separate, separate_blocks
from torch import Tensor

RATE = 1000


class Halves:
    """Two stems, each half of the mixture; remembers the length of every piece it saw."""

    stems = ("vocals", "other")
    sample_rate = RATE
    channels = 2

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def __call__(self, mixture: Tensor) -> Tensor:
        self.lengths.append(mixture.shape[-1])
        return torch.stack([mixture / 2, mixture / 2], dim=1)


@settings(deadline=None, max_examples=60)
@given(
    samples=st.integers(1, 3000),
    chunk=st.integers(0, 900),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.9]),
    batch=st.integers(1, 5),
)
def test_a_linear_model_is_passed_through_at_every_sample(
    samples: int, chunk: int, overlap: float, batch: int
) -> None:
    mixture = torch.randn(2, samples)
    model = Halves()
    found = separate(model, mixture, InferenceConfig(chunk / RATE, overlap), batch=batch)
    assert found.shape == (2, 2, samples)
    torch.testing.assert_close(found, torch.stack([mixture, mixture]) / 2, atol=1e-6, rtol=0)
    assert set(model.lengths) == {min(chunk or samples, samples)}


def test_blocks_come_in_order_and_hold_only_what_is_final() -> None:
    mixture = torch.randn(2, 2500)
    config = InferenceConfig(0.4, 0.5)
    asked: list[tuple[int, int]] = []

    def read(start: int, samples: int) -> Tensor:
        asked.append((start, samples))
        return mixture[:, start : start + samples]

    blocks = list(separate_blocks(Halves(), read, 2500, config))
    assert [block.shape[-1] for block in blocks] == [200] * 10 + [100] + [400]
    assert asked == [(start, 400) for start in [*range(0, 2100, 200), 2100]]
    torch.testing.assert_close(torch.cat(blocks, dim=-1)[0], mixture / 2)


def test_a_piece_counts_most_in_its_middle() -> None:
    """Two pieces that disagree cross over: each alone at its outer end, equal in the middle."""

    class Numbered(Halves):
        def __call__(self, mixture: Tensor) -> Tensor:
            self.lengths.append(mixture.shape[-1])
            return torch.full((1, 2, 2, mixture.shape[-1]), float(len(self.lengths)))

    found = separate(Numbered(), torch.zeros(2, 600), InferenceConfig(0.4, 0.5))[0, 0]
    assert found[:200].tolist() == [1.0] * 200 and found[400:].tolist() == [2.0] * 200
    assert bool((found[200:400].diff() > 0).all())
    assert found[299:301].mean().item() == pytest.approx(1.5)


def test_the_whole_song_is_one_piece_when_no_length_is_given() -> None:
    assert plan_pieces(12_345, InferenceConfig(0.0, 0.5), RATE) == ([0], 12_345)


@pytest.mark.parametrize("overlap", [-0.1, 1.0, 1.5])
def test_an_overlap_outside_of_its_range_is_refused(overlap: float) -> None:
    with pytest.raises(ValueError, match=f"overlap is {overlap}: give at least 0"):
        plan_pieces(100, InferenceConfig(1.0, overlap), RATE)


def test_a_negative_length_is_refused() -> None:
    with pytest.raises(ValueError, match="chunk_seconds is -1.0"):
        plan_pieces(100, InferenceConfig(-1.0, 0.5), RATE)


@pytest.mark.parametrize("shape", [(1, 100), (100,), (2, 0), (1, 2, 100)])
def test_a_mixture_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"the model takes \(2, sample\)"):
        separate(Halves(), torch.zeros(shape), InferenceConfig(1.0, 0.5))


def test_progress_counts_pieces() -> None:
    seen: list[tuple[int, int]] = []
    config = InferenceConfig(0.5, 0.5)
    separate(
        Halves(), torch.zeros(2, 1000), config, progress=lambda _, done, n: seen.append((done, n))
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
