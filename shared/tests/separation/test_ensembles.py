"""Passes and models as one: closed forms, the interface kept, what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.ensembles import Ensemble, Mirrored, Shifted, group_by_stems
from mss_shared.separation.overlap_add import separate

WHOLE = InferenceConfig(0.0, 0.0, 0.0, "flat", "none")


class Made(torch.nn.Module):
    """A model of one formula per stem, at 100 Hz in two channels."""

    def __init__(self, **formulas: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.formulas = formulas
        self.stems, self.sample_rate, self.channels = tuple(formulas), 100, 2
        self.lengths: list[int] = []

    def forward(self, mixture: Tensor) -> Tensor:
        self.lengths.append(mixture.shape[-1])
        return torch.stack([formula(mixture) for formula in self.formulas.values()], dim=1)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def scaled(level: float) -> Made:
    return Made(a=lambda x: level * x, b=lambda x: -level * x)


def test_inverting_cancels_what_does_not_follow_the_sign() -> None:
    model = Mirrored(Made(a=lambda x: x + 0.5, b=lambda x: x.abs()), ["polarity"])
    mixture = noise(2, 2, 50)
    expected = torch.stack([mixture, torch.zeros_like(mixture)], dim=1)
    assert torch.allclose(model(mixture), expected, atol=1e-7)


def test_swapping_averages_what_treats_channels_differently() -> None:
    gains = torch.tensor([[1.0], [3.0]])
    model = Mirrored(Made(a=lambda x: gains * x), ["channels"])
    mixture = noise(2, 2, 50)
    assert torch.allclose(model(mixture), 2.0 * mixture[:, None], atol=1e-6)


def test_both_mirrors_are_three_passes_as_the_training_framework_averages_them() -> None:
    gains = torch.tensor([[1.0], [4.0]])
    made = Made(a=lambda x: gains * x + 1.0)
    mixture = noise(1, 2, 50)
    # (g x + 1) + (g' x + 1) - (-g x + 1), over three; g' is g with channels swapped.
    expected = (2 * gains + gains.flip(0)) / 3 * mixture + 1 / 3
    assert torch.allclose(Mirrored(made)(mixture)[:, 0], expected, atol=1e-6)
    assert len(made.lengths) == 3


def test_one_channel_is_not_swapped() -> None:
    made = Made(a=lambda x: x)
    made.channels = 1
    assert torch.equal(Mirrored(made, ["channels"])(noise(1, 1, 9)), noise(1, 1, 9)[:, None])
    assert len(made.lengths) == 1


def test_mirrors_of_pieces_average_to_mirrors_of_the_song() -> None:
    gains = torch.tensor([[1.0], [4.0]])
    made = Made(a=lambda x: gains * x * torch.linspace(0, 1, x.shape[-1]) + 1.0)
    config, song = InferenceConfig(0.5, 0.5, 0.0, "triangle", "none"), noise(2, 333)
    whole = [
        separate(made, song, config),
        separate(made, song.flip(0), config).flip(1),
        -separate(made, -song, config),
    ]
    found = separate(Mirrored(made), song, config)
    assert torch.allclose(found, torch.stack(whole).mean(dim=0), atol=1e-6)


@pytest.mark.parametrize("passes", [1, 2, 3, 7])
@pytest.mark.parametrize("samples", [1, 49, 500])
def test_shifts_of_a_model_that_returns_its_input_change_no_bit(passes: int, samples: int) -> None:
    made = Made(a=lambda x: x, b=lambda x: x / 4)
    found = Shifted(made, passes)(noise(2, 2, samples))
    assert torch.equal(found[:, 0], noise(2, 2, samples))
    assert torch.equal(found[:, 1], noise(2, 2, samples) / 4)
    assert len(made.lengths) == passes and made.lengths[0] == samples


def test_shifts_average_over_the_place_in_the_piece() -> None:
    made = Made(a=lambda x: x * torch.arange(x.shape[-1]))  # a gain that grows with the position
    model = Shifted(made, 4, seed=5)
    mixture = noise(1, 2, 60)
    mean_delay = sum(model.delays) / 4
    expected = mixture * (torch.arange(60) + mean_delay)
    assert torch.allclose(model(mixture)[:, 0], expected, rtol=1e-5, atol=1e-5)


def test_delays_follow_the_seed_alone_and_stay_within_half_a_second() -> None:
    made = Made(a=lambda x: x)
    delays = Shifted(made, 50).delays
    assert delays == Shifted(made, 50).delays != Shifted(made, 50, seed=1).delays
    assert delays[0] == 0 and min(delays[1:]) >= 1 and max(delays) <= 50


def test_an_ensemble_of_the_mean_and_of_the_median() -> None:
    mixture = noise(2, 2, 77)
    models = [scaled(level) for level in (1.0, 2.0, 9.0)]
    mean, median = (Ensemble(models, kind)(mixture) for kind in ("mean", "median"))
    assert torch.allclose(mean[:, 0], 4.0 * mixture, atol=1e-6)
    assert torch.allclose(median[:, 1], -2.0 * mixture, atol=1e-6)
    even = Ensemble([*models, scaled(4.0)], "median")(mixture)
    assert torch.allclose(even[:, 0], 3.0 * mixture, atol=1e-6)


@pytest.mark.parametrize("samples", [1, 700, 5000])
def test_spectra_are_combined_by_magnitude_with_the_phase_of_the_sum(samples: int) -> None:
    mixture = noise(1, 2, samples)
    # Magnitudes 1, 1, 5 and a sum of 3: the samples' median would be -1.
    models = [scaled(level) for level in (-1.0, -1.0, 5.0)]
    mean, median = (Ensemble(models, f"spec_{kind}")(mixture) for kind in ("mean", "median"))
    assert torch.allclose(median[:, 0], mixture, atol=2e-5)
    assert torch.allclose(mean[:, 0], 7 / 3 * mixture, atol=2e-5)
    assert torch.allclose(Ensemble(models, "median")(mixture)[:, 0], -mixture, atol=1e-6)


def test_an_ensemble_pairs_stems_by_name() -> None:
    first, other = Made(a=lambda x: x, b=lambda x: 0 * x), Made(b=lambda x: 0 * x, a=lambda x: x)
    found = Ensemble([first, other])
    assert found.stems == ("a", "b")
    assert torch.equal(found(noise(1, 2, 20))[:, 0], noise(1, 2, 20))


def test_what_can_be_no_ensemble_is_refused() -> None:
    with pytest.raises(ValueError, match="the stems a and b: give checkpoints with the same stems"):
        Ensemble([Made(a=lambda x: x), Made(b=lambda x: x)])
    other = Made(a=lambda x: x)
    other.sample_rate = 200
    with pytest.raises(ValueError, match="2 channels at 100 Hz and 2 at 200 Hz"):
        Ensemble([Made(a=lambda x: x), other])
    with pytest.raises(ValueError, match="--ensemble mean of one model: give two"):
        Ensemble([other])
    with pytest.raises(ValueError, match="no ensemble 'best': choose from mean, median"):
        Ensemble([other, other], "best")
    with pytest.raises(ValueError, match="no 'time' to average: choose polarity or channels"):
        Mirrored(other, ["time"])
    with pytest.raises(ValueError, match="--shifts is 0: give at least one"):
        Shifted(other, 0)


@pytest.mark.parametrize(
    ("stems", "groups"),
    [
        (["v", "d"], [[0, 1]]),
        (["vd", "vd"], [[0], [1]]),
        (["v", "d", "v", "d"], [[0, 1], [2, 3]]),
        (["v", "v", "d", "d"], [[0, 2], [1, 3]]),
        (["vd", "d", "v"], [[0], [1, 2]]),
        (["v"], [[0]]),
    ],
)
def test_checkpoints_of_other_stems_join_and_of_equal_ones_compete(
    stems: Any, groups: list[list[int]]
) -> None:
    assert group_by_stems(stems) == groups


@pytest.mark.parametrize("stems", [["v", "v", "d"], ["vd", "v"], ["vdb", "vdo"]])
def test_checkpoints_that_neither_join_nor_compete_are_refused(stems: Any) -> None:
    with pytest.raises(
        ValueError, match="the checkpoints give v.* and .*: give one checkpoint per"
    ):
        group_by_stems(stems)
