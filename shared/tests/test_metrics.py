"""SDR and SI-SDR against closed forms, invariances and frozen values of other implementations."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from mss_shared.metrics.sdr import frame_sdr, usdr
from mss_shared.metrics.sisdr import si_sdr

GOLDEN = Path(__file__).parent / "golden" / "metrics"
VALUES: dict[str, Any] = json.loads((GOLDEN / "signal_metrics.json").read_text())
CASES = ("noisy", "identical", "silent_reference", "poor")
RATE = 44_100
METRICS = (usdr, si_sdr)


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def signals() -> dict[str, tuple[Tensor, Tensor]]:
    """Case to (reference, estimate), each (channel, sample) float64."""
    stored = load_file(GOLDEN / "signal_metrics.safetensors")
    pairs = zip(stored["references_i16"], stored["estimates_i16"], strict=True)
    return {
        case: (reference.double() / 32_768, estimate.double() / 32_768)
        for case, (reference, estimate) in zip(CASES, pairs, strict=True)
    }


def test_the_frozen_values_hold_four_cases_of_stereo(
    signals: dict[str, tuple[Tensor, Tensor]],
) -> None:
    assert set(CASES) <= set(VALUES) and set(signals) == set(CASES)
    assert {reference.shape for reference, _ in signals.values()} == {(2, 55_125)}


@pytest.mark.parametrize("case", CASES)
def test_usdr_is_the_challenges_value(signals: dict[str, tuple[Tensor, Tensor]], case: str) -> None:
    expected = VALUES[case]["mdx_usdr_eps1e-7_f64"]
    assert usdr(*signals[case]).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["zf_sdr_f64", "seed_sdr_f64"])
def test_usdr_with_the_smaller_constant_is_two_other_toolboxes_value(
    signals: dict[str, tuple[Tensor, Tensor]], case: str, name: str
) -> None:
    found = usdr(*signals[case], eps=1e-8).item()
    assert found == pytest.approx(VALUES[case][name], abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_si_sdr_is_the_frozen_value(signals: dict[str, tuple[Tensor, Tensor]], case: str) -> None:
    expected = VALUES[case]["seed_si_sdr_f64"]
    assert si_sdr(*signals[case]).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("case", ["noisy", "poor"])
def test_the_sdr_of_whole_seconds_is_the_frozen_value(
    signals: dict[str, tuple[Tensor, Tensor]], case: str
) -> None:
    found = frame_sdr(*signals[case], window=RATE, hop=RATE)
    assert found.tolist() == pytest.approx(VALUES[case]["chunk_sdr_1s_f64"], abs=1e-6)


def test_an_error_a_tenth_of_the_stem_is_20_db() -> None:
    stem = torch.ones(2, RATE, dtype=torch.float64)
    assert usdr(stem, 0.9 * stem).item() == pytest.approx(20.0, abs=1e-6)
    assert frame_sdr(stem, 0.9 * stem, window=100, hop=50) == pytest.approx(20.0)


def test_silence_as_estimate_is_0_db_and_an_inverted_stem_minus_6() -> None:
    stem = random(0, 2, 4_000)
    assert usdr(stem, 0 * stem).item() == pytest.approx(0.0, abs=1e-9)
    assert usdr(stem, -stem).item() == pytest.approx(-20 * math.log10(2), abs=1e-9)


def test_usdr_of_silence_is_the_constant_over_the_estimates_energy() -> None:
    silent, ones = torch.zeros(1, 100), torch.ones(1, 100)
    assert usdr(silent, ones).item() == pytest.approx(10 * math.log10(1e-7 / 100), abs=1e-4)
    assert usdr(silent, silent).item() == 0.0


def test_independent_noise_at_a_tenth_of_the_level_is_20_db_si_sdr() -> None:
    stem = random(1, 1, 4_000)
    stem -= stem.mean()
    error = random(2, 1, 4_000)
    error -= error.mean()
    error -= (error * stem).sum() / stem.square().sum() * stem  # orthogonal: the closed form holds
    error *= 0.1 * stem.norm() / error.norm()
    assert si_sdr(stem, stem + error).item() == pytest.approx(20.0, abs=1e-6)


@given(scale=st.floats(0.01, 100.0), offset=st.floats(-1.0, 1.0), seed=st.integers(0, 99))
def test_si_sdr_ignores_scale_sign_and_offset_of_the_estimate(
    scale: float, offset: float, seed: int
) -> None:
    reference = random(seed, 2, 500)
    estimate = reference + random(seed + 1, 2, 500)
    plain = si_sdr(reference, estimate).item()
    for factor in (scale, -scale):
        assert si_sdr(reference, factor * estimate + offset).item() == pytest.approx(
            plain, abs=1e-5
        )


@given(scale=st.floats(0.01, 100.0), seed=st.integers(0, 99))
def test_sdr_ignores_a_common_scale_but_not_the_estimates_own(scale: float, seed: int) -> None:
    reference = random(seed, 2, 500)
    estimate = reference + random(seed + 1, 2, 500)
    plain = usdr(reference, estimate).item()
    assert usdr(scale * reference, scale * estimate).item() == pytest.approx(plain, abs=1e-4)
    assert usdr(reference, 3 * estimate).item() < plain


def test_frames_are_whole_start_every_hop_and_know_only_their_samples() -> None:
    reference, estimate = random(0, 2, 1_050), random(1, 2, 1_050)
    found = frame_sdr(reference, estimate, window=200, hop=150)
    assert found.shape == (6,)
    for frame, value in enumerate(found):
        part = slice(150 * frame, 150 * frame + 200)
        alone = usdr(reference[:, part], estimate[:, part], eps=0.0)
        assert value.item() == pytest.approx(alone.item(), abs=1e-9)


def test_frames_without_error_are_infinite_and_silent_ones_without_error_are_nan() -> None:
    reference = torch.cat([torch.ones(1, 10), torch.zeros(1, 20)], dim=-1)
    estimate = torch.cat([torch.ones(1, 10), torch.zeros(1, 10), torch.ones(1, 10)], dim=-1)
    first, second, third = frame_sdr(reference, estimate, window=10, hop=10).tolist()
    assert first == math.inf and math.isnan(second) and third == -math.inf


def test_a_signal_shorter_than_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="has 9 samples, a frame 10: use a shorter window"):
        frame_sdr(torch.zeros(1, 9), torch.zeros(1, 9), window=10, hop=10)


@pytest.mark.parametrize("metric", METRICS)
def test_leading_dimensions_are_scored_one_by_one(metric: Any) -> None:
    reference, estimate = random(0, 3, 2, 2, 100), random(1, 3, 2, 2, 100)
    found = metric(reference, estimate)
    assert found.shape == (3, 2)
    for place in ((0, 0), (2, 1)):
        assert found[place].item() == pytest.approx(
            metric(reference[place], estimate[place]).item()
        )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shapes", [((2, 10), (2, 11)), ((2, 10), (1, 10)), ((10,), (10,))])
def test_differing_shapes_are_refused_with_both(
    metric: Any, shapes: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    with pytest.raises(ValueError, match=r"reference is \(.*, the estimate \(.*: both must be"):
        metric(torch.zeros(shapes[0]), torch.zeros(shapes[1]))


@pytest.mark.parametrize("metric", METRICS)
def test_gradients_point_towards_the_reference(metric: Any) -> None:
    reference = random(0, 2, 200)
    estimate = (reference + 0.5 * random(1, 2, 200)).requires_grad_()
    before = metric(reference, estimate)
    before.backward()
    assert estimate.grad is not None and bool(estimate.grad.isfinite().all())
    after = metric(reference, estimate.detach() + 0.1 * estimate.grad)
    assert after.item() > before.item()


@pytest.mark.parametrize("metric", METRICS)
def test_silence_has_finite_gradients(metric: Any) -> None:
    estimate = torch.zeros(1, 50, requires_grad=True)
    metric(torch.zeros(1, 50), estimate).backward()
    assert estimate.grad is not None and bool(estimate.grad.isfinite().all())
