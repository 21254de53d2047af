"""Chunks: what is given and kept, and the outputs of the community's chunked inference."""

import json
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from tiny_places import GOLDEN
from torch import Tensor

from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.chunks import EDGES, WINDOWS, plan_chunks
from mss_shared.separation.overlap_add import separate

RATE = 1_000
DEMIX = GOLDEN / "separate" / "inference_demix.safetensors"
CASES = ("A_ov2_b1", "B_ov4_b3", "C_ov1_b2", "D_ov2_b2_short", "E_ov2_b1_tiny")
CASES += ("F_ov8_b4_single", "G_ov2_b4_exact")


class Identity:
    stems = ("vocals",)
    sample_rate = RATE
    channels = 1

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def __call__(self, mixture: Tensor) -> Tensor:
        self.seen += list(mixture[:, 0])
        return mixture[:, None]


configs = st.builds(
    InferenceConfig,
    chunk_seconds=st.sampled_from([0.0, 0.02, 0.05, 0.1, 0.256, 5.0]),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.9]) | st.floats(0.0, 0.95),
    context_seconds=st.sampled_from([0.0, 0.001, 0.005, 0.009]),
    window=st.sampled_from(WINDOWS),
    edges=st.sampled_from(EDGES),
)


@settings(max_examples=150)
@given(samples=st.integers(1, 700), config=configs)
def test_weights_over_their_sum_are_one_at_every_sample(
    samples: int, config: InferenceConfig
) -> None:
    plan = plan_chunks(samples, config, RATE)
    total = torch.zeros(samples)
    for number in range(len(plan.starts)):
        first, end = plan.kept(number)
        weights = plan.weights(number)
        assert len(weights) == end - first and (weights > 0).all()
        total[first:end] += weights
    assert (total > 0).all()
    ones = separate(Identity(), torch.ones(1, samples), config)
    torch.testing.assert_close(ones, torch.ones(1, 1, samples), rtol=0.0, atol=1e-6)


@settings(max_examples=150)
@given(samples=st.integers(1, 700), config=configs, batch=st.integers(1, 4))
def test_a_model_that_returns_its_input_is_passed_through_with_any_settings(
    samples: int, config: InferenceConfig, batch: int
) -> None:
    mixture = torch.randn(1, samples, generator=torch.Generator().manual_seed(samples))
    estimate = separate(Identity(), mixture, config, batch=batch)[0]
    torch.testing.assert_close(estimate, mixture, rtol=1e-5, atol=1e-6)


def test_truncation_keeps_the_middle_half_of_eight_second_windows_every_four_seconds() -> None:
    config = InferenceConfig(8.0, 0.0, 2.0, "flat", "none")
    plan = plan_chunks(30_000, config, RATE)
    assert plan.starts == (0, 4_000, 8_000, 12_000, 16_000, 20_000, 22_000)
    assert [plan.kept(n) for n in (0, 1, 2, 6)] == [
        (0, 6_000),
        (6_000, 10_000),
        (10_000, 14_000),
        (24_000, 30_000),
    ]


def test_context_before_and_after_the_song_is_silence_with_zeros_and_a_mirror_with_reflect() -> (
    None
):
    song = torch.arange(1.0, 8.0)[None]
    model = Identity()
    separate(model, song, InferenceConfig(0.006, 0.0, 0.001, "flat", "zeros"))
    assert [chunk.tolist() for chunk in model.seen] == [[0, 1, 2, 3, 4, 5], [4, 5, 6, 7, 0, 0]]
    model = Identity()
    separate(model, song, InferenceConfig(0.004, 0.5, 0.0, "flat", "reflect"))
    assert [chunk.tolist() for chunk in model.seen] == [
        [3, 2, 1, 2],
        [1, 2, 3, 4],
        [3, 4, 5, 6],
        [5, 6, 7, 6],
        [7, 6, 5, 6],
    ]


def test_a_last_chunk_is_mirrored_if_longer_than_half_and_else_filled_with_silence() -> None:
    for samples, last in ((6, [5, 6, 0, 0]), (7, [5, 6, 7, 6])):
        model = Identity()
        song = torch.arange(1.0, samples + 1)[None]
        separate(model, song, InferenceConfig(0.004, 0.0, 0.0, "flat", "reflect"))
        assert model.seen[-1].tolist() == last


def test_kept_parts_are_laid_as_the_trims_of_lasaft() -> None:
    # Window 300, trim 50, so 200 of use, and half of it as step: ceil((1150 - 200) / 100) + 1.
    plan = plan_chunks(1_150, InferenceConfig(0.3, 0.5, 0.05, "flat", "zeros"), RATE)
    assert len(plan.starts) == 11
    assert plan.starts == tuple(100 * number - 50 for number in range(11))
    assert plan.kept(3) == (300, 500) and plan.weights(3).unique().tolist() == [1.0]


@settings(max_examples=200)
@given(
    samples=st.integers(1, 3_000),
    contexts=st.integers(3, 20),
    odd=st.integers(0, 5),
    context=st.integers(0, 30),
    overlap=st.sampled_from([0.0, 0.5, 0.75]),
)
@example(samples=10, contexts=6, odd=0, context=0, overlap=0.5)
@example(samples=32, contexts=5, odd=4, context=10, overlap=0.0)
def test_fitted_chunks_are_no_more_and_leave_less_than_a_context_each_to_silence(
    samples: int, contexts: int, odd: int, context: int, overlap: float
) -> None:
    size = contexts * max(1, context) + odd
    full, fitted = (
        plan_chunks(
            samples,
            InferenceConfig(size / RATE, overlap, context / RATE, "flat", edges),
            RATE,
        )
        for edges in ("zeros", "fit")
    )
    assert fitted.size <= full.size
    assert len(fitted.starts) <= len(full.starts)
    if fitted.size == full.size:
        return
    assert fitted.size % max(1, context) == 0
    if overlap == 0.0:
        waste = sum(fitted.size - 2 * context for _ in fitted.starts) - samples
        assert waste < max(1, context) * len(fitted.starts)


def test_a_song_shorter_than_a_chunk_needs_no_more_than_itself_and_its_context() -> None:
    model = Identity()
    separate(model, torch.ones(1, 7), InferenceConfig(0.1, 0.0, 0.002, "flat", "fit"))
    assert [chunk.tolist() for chunk in model.seen] == [[0.0, 0.0, *[1.0] * 7, 0.0, 0.0, 0.0]]


class Toy:
    """The golden files' model: weighs and shifts by the place in the chunk."""

    sample_rate = RATE
    channels = 2

    def __init__(self, stems: list[str], weight: Tensor, bias: Tensor) -> None:
        self.stems = tuple(stems)
        self.weight, self.bias = weight[: len(stems)], bias[: len(stems)]

    def __call__(self, mixture: Tensor) -> Tensor:
        return mixture[:, None] * self.weight[:, None] + self.bias[:, None]


def demix(name: str) -> tuple[dict[str, Any], Toy, Tensor, Tensor, Tensor]:
    """Settings, model, input, our output and the community's of a golden case."""
    with safe_open(DEMIX, "pt") as file:
        case = json.loads(file.metadata()["config"])[name]
        toy = Toy(case["stems"], file.get_tensor("toy.w"), file.get_tensor("toy.b"))
        mixture, wanted = (file.get_tensor(f"{name}.{part}") for part in ("input", "output"))
    config = InferenceConfig(
        case["chunk_size"] / RATE, 1 - 1 / case["num_overlap"], 0.0, "fade", "reflect"
    )
    return case, toy, mixture, separate(toy, mixture, config, batch=case["batch_size"]), wanted


@pytest.mark.parametrize("name", [name for name in CASES if name[0] not in "CDG"])
def test_fades_and_mirrored_edges_are_the_communitys_chunked_inference(name: str) -> None:
    _, _, _, ours, theirs = demix(name)
    torch.testing.assert_close(ours, theirs, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "silenced"), [("C_ov1_b2", [0, 499, 500, 999, 1000]), ("D_ov2_b2_short", [0])]
)
def test_samples_that_the_communitys_ramps_silence_are_not_silent_in_ours(
    name: str, silenced: list[int]
) -> None:
    _, _, _, ours, theirs = demix(name)
    # No other chunk has a weight where a ramp is zero, and 0 / 0 became 0.
    assert (theirs[..., silenced] == 0.0).all() and (ours[..., silenced] != 0.0).all()
    rest = torch.ones(ours.shape[-1], dtype=torch.bool)
    rest[silenced] = False
    torch.testing.assert_close(ours[..., rest], theirs[..., rest], rtol=0.0, atol=1e-6)


def test_where_the_communitys_fades_depend_on_the_batch_ours_are_those_of_a_batch_of_one() -> None:
    case, toy, mixture, ours, theirs = demix("G_ov2_b4_exact")
    # Its last batch holds the chunks from 1000 to 1750 of the mirrored song, whose closing ramps
    # it drops; in the song those of two of them lie where the next chunk overlaps.
    dropped = torch.zeros(1500, dtype=torch.bool)
    for start in (1000, 1250):
        dropped[start + 450 - 250 : start + 500 - 250] = True
    same = ~dropped
    torch.testing.assert_close(ours[..., same], theirs[..., same], rtol=0.0, atol=1e-6)
    one = separate(toy, mixture, InferenceConfig(0.5, 0.5, 0.0, "fade", "reflect"), batch=1)
    assert torch.equal(ours, one)
    # Without those ramps the two chunks weigh the same, but for the opening ramp of the second.
    mirrored = torch.nn.functional.pad(mixture[None], (250, 250), mode="reflect")[0]
    for start in (1000, 1250):
        first = toy(mirrored[None, :, start : start + 500])[0][..., 450:]
        second = toy(mirrored[None, :, start + 250 : start + 750])[0][..., 200:250]
        place = slice(start + 450 - 250, start + 500 - 250)
        torch.testing.assert_close((first + second) / 2, theirs[..., place], rtol=0.0, atol=1e-6)
    assert case["batch_size"] == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ((0.1, 0.5, 0.05, "flat", "none"), r"context_seconds is 0\.05 .* chunks of 0\.1 s"),
        ((0.1, 0.5, -1.0, "flat", "none"), r"context_seconds is -1\.0: give a length of at most"),
        ((1e308, 0.5, 0.0, "flat", "none"), r"chunk_seconds is 1e\+308: give a length"),
        (
            (0.1, 0.5, 1e308, "flat", "none"),
            r"context_seconds is 1e\+308: give a length of at most",
        ),
        ((0.1, 0.5, 0.0, "hann", "none"), r"window is 'hann': choose from triangle, flat, fade"),
        ((0.1, 0.5, 0.0, "flat", "wrap"), r"edges is 'wrap': choose from none, zeros, reflect"),
    ],
)
def test_settings_out_of_range_are_refused(changes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan_chunks(1_000, InferenceConfig(*changes), RATE)
