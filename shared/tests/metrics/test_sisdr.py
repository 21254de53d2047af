"""SI-SDR and its variants against closed forms, invariances and others' frozen values."""

import math

import pytest
import torch
from frozen_metrics import CASES, VALUES, noise, pair
from hypothesis import given
from hypothesis import strategies as st

from mss_shared.metrics.sisdr import si_sdr, si_sdr_keeping_mean, si_sdr_per_channel

CHANNELWISE = {
    "fast_bss_eval_si_sdr_per_channel": False,
    "fast_bss_eval_si_sdr_zero_mean_per_channel": True,
}


@pytest.mark.parametrize("case", CASES)
def test_si_sdr_is_the_frozen_value(case: str) -> None:
    expected = VALUES[case]["seed_si_sdr_f64"]
    assert si_sdr(*pair(case)).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_the_variant_keeping_the_mean_is_the_frozen_value(case: str) -> None:
    expected = VALUES[case]["zf_si_sdr_f64"]
    assert si_sdr_keeping_mean(*pair(case)).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_the_variant_keeping_the_mean_is_the_frozen_value_in_float32(case: str) -> None:
    found = si_sdr_keeping_mean(*pair(case, torch.float32)).item()
    tolerance = 2e-5 if case == "identical" else 1e-5
    assert found == pytest.approx(VALUES[case]["zf_si_sdr"], abs=tolerance)


@pytest.mark.parametrize("case", ["noisy", "poor"])
@pytest.mark.parametrize("name", CHANNELWISE)
def test_channels_by_themselves_score_the_frozen_values(case: str, name: str) -> None:
    found = si_sdr_per_channel(*pair(case), zero_mean=CHANNELWISE[name])
    assert found.tolist() == pytest.approx(VALUES[case][name], abs=1e-9)


@pytest.mark.parametrize("name", CHANNELWISE)
def test_an_equal_estimate_leaves_channels_only_rounding(name: str) -> None:
    found = si_sdr_per_channel(*pair("identical"), zero_mean=CHANNELWISE[name])
    assert min(VALUES["identical"][name]) > 120 and min(found.tolist()) > 120


def test_independent_noise_at_a_tenth_of_the_level_is_20_db() -> None:
    stem = noise(1, 1, 4_000)
    stem -= stem.mean()
    error = noise(2, 1, 4_000)
    error -= error.mean()
    error -= (error * stem).sum() / stem.square().sum() * stem  # orthogonal: the closed form holds
    error *= 0.1 * stem.norm() / error.norm()
    assert si_sdr(stem, stem + error).item() == pytest.approx(20.0, abs=1e-6)
    assert si_sdr_keeping_mean(stem, stem + error).item() == pytest.approx(20.0, abs=1e-6)
    assert si_sdr_per_channel(stem, stem + error).item() == pytest.approx(20.0, abs=1e-9)


@given(scale=st.floats(0.01, 100.0), offset=st.floats(-1.0, 1.0), seed=st.integers(0, 99))
def test_si_sdr_ignores_scale_sign_and_offset_of_the_estimate(
    scale: float, offset: float, seed: int
) -> None:
    reference = noise(seed, 2, 500)
    estimate = reference + noise(seed + 1, 2, 500)
    plain = si_sdr(reference, estimate).item()
    apart = si_sdr_per_channel(reference, estimate).tolist()
    for factor in (scale, -scale):
        moved = factor * estimate + offset
        assert si_sdr(reference, moved).item() == pytest.approx(plain, abs=1e-5)
        assert si_sdr_per_channel(reference, moved).tolist() == pytest.approx(apart, abs=1e-9)


def test_a_kept_mean_is_part_of_the_stem() -> None:
    reference = torch.ones(2, 1_000, dtype=torch.float64)
    ripple = torch.tensor([0.1, -0.1], dtype=torch.float64).repeat(500)  # orthogonal to a constant
    assert si_sdr_keeping_mean(reference, reference + ripple).item() == pytest.approx(20.0)
    kept = si_sdr_per_channel(reference, reference + ripple, zero_mean=False)
    assert kept.tolist() == pytest.approx([20.0, 20.0])
    assert si_sdr(reference, reference + ripple).item() < -80


@given(seed=st.integers(0, 99))
def test_a_single_channel_scores_as_a_stem_without_constants(seed: int) -> None:
    reference = noise(seed, 1, 300) + 0.5
    estimate = reference + noise(seed + 1, 1, 300) + 0.2
    apart = si_sdr_per_channel(reference, estimate)
    assert apart.shape == (1,)
    assert apart.item() == pytest.approx(si_sdr(reference, estimate, eps=0.0).item(), abs=1e-9)


def test_channels_know_nothing_of_each_other() -> None:
    reference, estimate = noise(0, 3, 2, 300), noise(1, 3, 2, 300)
    found = si_sdr_per_channel(reference, estimate)
    assert found.shape == (3, 2)
    estimate[:, 1] = 0.0
    changed = si_sdr_per_channel(reference, estimate)
    assert changed[:, 0].tolist() == found[:, 0].tolist()
    assert bool((changed[:, 1] == -math.inf).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("level", [1e-30, 1.0, 1e15])
def test_clamped_scores_end_at_both_bounds_at_any_level(level: float, dtype: torch.dtype) -> None:
    stem = (level * noise(0, 1, 300)).to(dtype)
    silent = torch.zeros_like(stem)
    pairs = [(stem, stem), (silent, stem), (stem, silent), (silent, silent)]
    found = [si_sdr_per_channel(r, e, clamp_db=30.0, zero_mean=False).item() for r, e in pairs]
    if level >= 1.0 or dtype == torch.float64:  # else its energy is 0 in float32
        assert found == pytest.approx([30.0, -30.0, -30.0, -30.0], abs=1e-4)
    assert all(abs(value) <= 30.0001 for value in found)


def test_values_within_the_bounds_are_not_moved() -> None:
    reference, estimate = pair("noisy")
    free = si_sdr_per_channel(reference, estimate)
    assert si_sdr_per_channel(reference, estimate, clamp_db=20.0).equal(free)
    assert si_sdr_per_channel(reference, estimate, clamp_db=10.0).tolist() == pytest.approx(
        [10, 10]
    )


@pytest.mark.parametrize("bound", [0.0, -1.0, math.nan])
def test_a_bound_that_is_no_bound_is_refused(bound: float) -> None:
    with pytest.raises(ValueError, match=f"at {bound} dB: clamp_db must be above 0"):
        si_sdr_per_channel(torch.ones(1, 9), torch.ones(1, 9), clamp_db=bound)


def test_a_silent_reference_is_minus_80_db_where_the_mean_is_kept() -> None:
    stem = noise(0, 2, 1_000)
    for estimate in (stem, 100 * stem, 0 * stem):
        assert si_sdr_keeping_mean(0 * stem, estimate).item() == pytest.approx(-80.0, abs=1e-9)


def test_a_silent_estimate_scores_the_constants_of_the_scale_where_the_mean_is_kept() -> None:
    samples = 1_000
    reference = torch.ones(1, samples, dtype=torch.float64)
    energy = samples * 1e-8**2  # the scale is 1e-8
    expected = 10 * math.log10(energy / (energy + 1e-8) + 1e-8)
    found = si_sdr_keeping_mean(reference, 0 * reference).item()
    assert found == pytest.approx(expected, abs=1e-6)
