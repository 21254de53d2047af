"""The residual, spread over the stems: sums, silence, one stem, and the two-pass mode's flaws."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from tiny_places import GOLDEN
from torch import Tensor

from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.mixture_consistency import Pair, make_consistent, rerun_blocks

LOSSLESS_MODE = GOLDEN / "separate" / "lossless_mode.safetensors"
WHOLE = InferenceConfig(0.0, 0.0, 0.0, "flat", "none")


def blocks(mixture: np.ndarray, stems: np.ndarray, cuts: list[int]) -> Iterator[Pair]:
    ends = sorted({cut % mixture.shape[1] for cut in cuts} - {0}) + [mixture.shape[1]]
    start = 0
    for end in ends:
        yield mixture[:, start:end], stems[..., start:end]
        start = end


def joined(pairs: Iterator[Pair]) -> tuple[np.ndarray, np.ndarray]:
    mixtures, stems = zip(*pairs, strict=True)
    return np.concatenate(mixtures, axis=-1), np.concatenate(stems, axis=-1)


@settings(max_examples=30)
@given(
    samples=st.integers(1, 15_000),
    stems=st.integers(2, 4),
    channels=st.integers(1, 2),
    cuts=st.lists(st.integers(1, 15_000), max_size=6),
    second=st.booleans(),
)
def test_stems_add_up_to_the_mixture_however_the_stream_is_cut(
    samples: int, stems: int, channels: int, cuts: list[int], second: bool
) -> None:
    random = np.random.default_rng(samples)
    mixture = 0.1 * random.standard_normal((channels, samples))
    estimates = 0.1 * random.standard_normal((stems * (1 + second), channels, samples))
    heard, found = joined(make_consistent(blocks(mixture, estimates, cuts), stems))
    assert np.array_equal(heard, mixture)
    np.testing.assert_allclose(found.sum(axis=0), mixture, rtol=0, atol=1e-6)
    whole = joined(make_consistent(blocks(mixture, estimates, []), stems))[1]
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-6)


def tone(hz: float, samples: int = 20_000) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(samples) / 44_100)[None]


def test_a_stem_gets_the_residual_where_it_has_energy() -> None:
    low, high = tone(300.0), tone(6_000.0)
    stems = np.stack([0.8 * low, 0.5 * high])
    found = joined(make_consistent(blocks(low + high, stems, [7_000]), 2))[1]
    middle = slice(5_000, 15_000)
    np.testing.assert_allclose(found[0][:, middle], low[:, middle], atol=1e-3)
    np.testing.assert_allclose(found[1][:, middle], high[:, middle], atol=1e-3)


def test_a_band_that_is_silent_in_all_stems_goes_where_the_frames_energy_is() -> None:
    # So soft that nothing of the tone's skirt is left up there.
    stems = np.stack([1e-4 * tone(300.0), np.zeros((1, 20_000))])
    mixture = 1e-4 * tone(300.0) + 0.1 * tone(18_000.0)
    found = joined(make_consistent(blocks(mixture, stems, []), 2))[1]
    assert np.abs(found[1]).max() < 0.01


def test_what_no_stem_heard_is_shared_evenly_and_silence_stays_silent() -> None:
    stems = np.zeros((4, 1, 20_000))
    found = joined(make_consistent(blocks(tone(500.0), stems, []), 4))[1]
    np.testing.assert_allclose(found, np.stack([tone(500.0) / 4] * 4), atol=1e-6)
    silent = joined(make_consistent(blocks(np.zeros((1, 20_000)), stems, []), 4))[1]
    assert not silent.any()


def test_a_single_stem_stays_and_a_residual_follows() -> None:
    mixture, estimate = tone(300.0), 0.6 * tone(300.0)[None]
    found = joined(make_consistent(blocks(mixture, estimate, [9]), 1))[1]
    assert np.array_equal(found, np.stack([estimate[0], mixture - estimate[0]]))


class TwoPasses:
    """Answers the mixture by the first pass of a golden case and the residual by its second."""

    sample_rate = 44_100
    channels = 2

    def __init__(self, name: str) -> None:
        with safe_open(LOSSLESS_MODE, "pt") as file:
            self.stems = tuple(json.loads(file.metadata()["config"])[name]["stems"])
            parts = ("mix", "pass1", "pass2", "residual", "output")
            self.found = {part: file.get_tensor(f"{name}.{part}") for part in parts}
        self.asked: list[Tensor] = []

    def __call__(self, mixture: Tensor) -> Tensor:
        self.asked.append(mixture[0])
        return self.found[f"pass{len(self.asked)}"][None]

    def run(self) -> tuple[np.ndarray, np.ndarray]:
        """(stem, channel, sample) both passes together, and what comes of them."""
        mix = self.found["mix"]
        read = lambda start, count: mix[:, start : start + count]  # noqa: E731
        both = torch.cat([*rerun_blocks(self, read, mix.shape[1], WHOLE)], dim=-1)
        pairs = blocks(mix.double().numpy(), both.double().numpy(), [])
        return both[: len(self.stems)].numpy(), joined(make_consistent(pairs, len(self.stems)))[1]


CASES = ("four_stem_float", "four_stem_pcm16", "four_stem_pcm16_hot", "two_stem_no_drums")


@pytest.mark.parametrize("name", CASES)
def test_the_second_pass_hears_the_references_residual_and_adds_what_it_found(name: str) -> None:
    model = TwoPasses(name)
    both, found = model.run()
    torch.testing.assert_close(model.asked[1], model.found["residual"], rtol=0.0, atol=2e-7)
    wanted = model.found["pass1"] + model.found["pass2"]
    np.testing.assert_allclose(both, wanted.numpy(), rtol=0, atol=2e-7)
    mix = model.found["mix"].numpy()
    np.testing.assert_allclose(found.sum(axis=0), mix, rtol=0, atol=1e-6)


def test_what_was_found_of_vocals_and_bass_is_theirs_and_not_drums_and_others() -> None:
    model = TwoPasses("four_stem_float")
    _, found = model.run()
    first, second, theirs = (model.found[part].numpy() for part in ("pass1", "pass2", "output"))
    bass = model.stems.index("bass")
    np.testing.assert_allclose(theirs[bass], first[bass], atol=1e-7)  # left as it was
    added = found[bass] - first[bass]
    assert (added * second[bass]).sum() > 0.5 * (second[bass] ** 2).sum()


def test_the_references_share_of_drums_is_ours_where_both_have_found_the_same() -> None:
    # Drums and other: both passes added, and what is left divided by how much each found.
    model = TwoPasses("four_stem_float")
    drums, other = (model.stems.index(stem) for stem in ("drums", "other"))
    second, theirs = model.found["pass2"], model.found["output"]
    left = model.found["residual"] - second[drums] - second[other]
    share = second[drums].abs().sum() / (second[[drums, other]].abs().sum())
    wanted = model.found["pass1"][drums] + second[drums] + share * left
    torch.testing.assert_close(theirs[drums], wanted, rtol=0.0, atol=2e-7)
    both, _ = model.run()
    np.testing.assert_allclose(both[drums], (wanted - share * left).numpy(), atol=2e-7)


def test_a_silent_residual_gives_the_first_pass_and_no_nan() -> None:
    model = TwoPasses("zero_residual")
    _, found = model.run()
    assert torch.isnan(model.found["output"]).any()
    np.testing.assert_allclose(found, model.found["pass1"].numpy(), rtol=0, atol=2e-7)


def test_a_model_of_one_stem_does_not_return_the_mixture() -> None:
    model = TwoPasses("single_target_vocals")
    _, found = model.run()
    mix, theirs = model.found["mix"].numpy(), model.found["output"].numpy()
    np.testing.assert_allclose(theirs[0], mix, atol=1e-7)
    wanted = (model.found["pass1"] + model.found["pass2"]).numpy()
    np.testing.assert_allclose(found[0], wanted[0], rtol=0, atol=2e-7)
    np.testing.assert_allclose(found[1], mix - wanted[0], rtol=0, atol=2e-7)


@settings(max_examples=25)
@given(
    samples=st.integers(1, 900),
    chunk=st.sampled_from([0.0, 0.002, 0.005, 5.0]),
    edges=st.sampled_from(["none", "zeros", "reflect"]),
    batch=st.integers(1, 3),
)
def test_two_passes_side_by_side_are_two_passes_after_each_other(
    samples: int, chunk: float, edges: str, batch: int
) -> None:
    from mss_shared.audio.streams import Sliding
    from mss_shared.separation.chunks import find_lookback
    from mss_shared.separation.overlap_add import separate

    class Model:
        stems = ("vocals", "drums")
        sample_rate = 44_100
        channels = 1

        def __call__(self, mixture: Tensor) -> Tensor:
            return torch.stack([0.5 * mixture, 0.2 * mixture.flip(-1)], dim=1)

    config = InferenceConfig(chunk, 0.5, 0.0, "triangle", edges)
    mixture = torch.randn(1, samples, generator=torch.Generator().manual_seed(samples))
    stream = iter(mixture.numpy()[:, at : at + 50] for at in range(0, samples, 50))
    window = Sliding(stream, find_lookback(samples, config, 44_100, batch, rerun=True))
    found = torch.cat([*rerun_blocks(Model(), window.tensor, samples, config, batch=batch)], dim=-1)
    first = separate(Model(), mixture, config)
    second = separate(Model(), mixture - first.sum(dim=0), config)
    torch.testing.assert_close(found, torch.cat([first + second, second]), rtol=0.0, atol=1e-6)
