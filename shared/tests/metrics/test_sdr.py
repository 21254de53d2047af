"""SDR of stems, frames and chunks against closed forms and others' frozen values.

The last tests hold every metric of this library that is a function on tensors to the same promises.
"""

import math
from typing import Any

import numpy as np
import pytest
import torch
from frozen_metrics import CASES, RATE, VALUES, estimates, noise, pair, references
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mss_shared.metrics.bleedfull import bleedless_fullness
from mss_shared.metrics.l1freq import l1_freq
from mss_shared.metrics.sdr import chunk_sdr, frame_sdr, k_sdr, usdr
from mss_shared.metrics.sisdr import si_sdr, si_sdr_keeping_mean, si_sdr_per_channel


def chunks_of_500(reference: Tensor, estimate: Tensor) -> Tensor:
    return chunk_sdr(reference, estimate, window=500)


def clamped(reference: Tensor, estimate: Tensor) -> Tensor:
    return si_sdr_per_channel(reference, estimate, clamp_db=60.0).mean(-1)


def bleedless(reference: Tensor, estimate: Tensor) -> Tensor:
    return bleedless_fullness(reference, estimate, sample_rate=RATE).bleedless


def fullness(reference: Tensor, estimate: Tensor) -> Tensor:
    return bleedless_fullness(reference, estimate, sample_rate=RATE).fullness


IN_DB = (usdr, chunks_of_500, si_sdr, si_sdr_keeping_mean, clamped)
METRICS = (*IN_DB, k_sdr, l1_freq, bleedless, fullness)


def test_the_frozen_values_hold_four_cases_of_stereo() -> None:
    assert set(CASES) | {"all_four_stems"} == set(VALUES)
    assert references().shape == estimates().shape == (4, 2, 55_125)


@pytest.mark.parametrize("case", CASES)
def test_usdr_is_the_challenges_value(case: str) -> None:
    expected = VALUES[case]["mdx_usdr_eps1e-7_f64"]
    assert usdr(*pair(case)).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["zf_sdr_f64", "seed_sdr_f64"])
def test_usdr_with_the_smaller_constant_is_two_other_toolboxes_value(case: str, name: str) -> None:
    found = usdr(*pair(case), eps=1e-8).item()
    assert found == pytest.approx(VALUES[case][name], abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_usdr_in_float32_is_the_value_others_compute_in_float32(case: str) -> None:
    found = usdr(*pair(case, torch.float32), eps=1e-8).item()
    tolerance = 2e-5 if case == "identical" else 1e-5
    assert found == pytest.approx(VALUES[case]["zf_sdr"], abs=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_the_sdr_of_chunks_is_the_frozen_value(case: str) -> None:
    found = chunk_sdr(*pair(case), window=RATE, eps=1e-8)
    assert [found.item()] == pytest.approx(VALUES[case]["chunk_sdr_1s_f64"], abs=1e-9)


@pytest.mark.parametrize("case", ["noisy", "poor"])
def test_the_sdr_of_whole_seconds_is_the_frozen_value(case: str) -> None:
    found = frame_sdr(*pair(case), window=RATE, hop=RATE)
    assert found.tolist() == pytest.approx(VALUES[case]["chunk_sdr_1s_f64"], abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", CASES)
def test_k_sdr_is_the_frozen_value(case: str, dtype: torch.dtype) -> None:
    found = k_sdr(*pair(case, dtype)).item()
    assert found == pytest.approx(VALUES[case]["zf_k_sdr"], abs=1e-5)


def test_an_error_a_tenth_of_the_stem_is_20_db() -> None:
    stem = torch.ones(2, RATE, dtype=torch.float64)
    assert usdr(stem, 0.9 * stem).item() == pytest.approx(20.0, abs=1e-6)
    assert frame_sdr(stem, 0.9 * stem, window=100, hop=50) == pytest.approx(20.0)


def test_silence_as_estimate_is_0_db_and_an_inverted_stem_minus_6() -> None:
    stem = noise(0, 2, 4_000)
    assert usdr(stem, 0 * stem).item() == pytest.approx(0.0, abs=1e-9)
    assert usdr(stem, -stem).item() == pytest.approx(-20 * math.log10(2), abs=1e-9)


def test_usdr_of_silence_is_the_constant_over_the_estimates_energy() -> None:
    silent, ones = torch.zeros(1, 100), torch.ones(1, 100)
    assert usdr(silent, ones).item() == pytest.approx(10 * math.log10(1e-7 / 100), abs=1e-4)
    assert usdr(silent, silent).item() == 0.0


@given(scale=st.floats(0.01, 100.0), seed=st.integers(0, 99))
def test_sdr_ignores_a_common_scale_but_not_the_estimates_own(scale: float, seed: int) -> None:
    reference = noise(seed, 2, 500)
    estimate = reference + noise(seed + 1, 2, 500)
    plain = usdr(reference, estimate).item()
    assert usdr(scale * reference, scale * estimate).item() == pytest.approx(plain, abs=1e-4)
    assert usdr(reference, 3 * estimate).item() < plain


def test_frames_are_whole_start_every_hop_and_know_only_their_samples() -> None:
    reference, estimate = noise(0, 2, 1_050), noise(1, 2, 1_050)
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


@pytest.mark.parametrize(
    ("errors", "expected"),
    [((0.1,), 20.0), ((0.1, 0.001), 40.0), ((0.001, 0.01, 0.1), 40.0), ((1, 0.1, 1, 0.01), 10.0)],
)
def test_chunks_count_by_their_median_the_mean_of_two_in_the_middle(
    errors: tuple[float, ...], expected: float
) -> None:
    reference = torch.ones(2, 100 * len(errors), dtype=torch.float64)
    error = torch.tensor(errors, dtype=torch.float64).repeat_interleave(100)
    found = chunk_sdr(reference, reference + error, window=100, eps=1e-12)
    assert found.item() == pytest.approx(expected, abs=1e-6)


@given(
    samples=st.integers(1, 700),
    window=st.integers(1, 200),
    channels=st.integers(1, 2),
    seed=st.integers(0, 99),
)
def test_the_sdr_of_chunks_is_the_median_over_whole_frames(
    samples: int, window: int, channels: int, seed: int
) -> None:
    reference, estimate = noise(seed, channels, samples), noise(seed + 1, channels, samples)
    chunk = min(samples, window)
    frames = frame_sdr(reference, estimate, window=chunk, hop=chunk)
    found = chunk_sdr(reference, estimate, window=window, eps=1e-15).item()
    assert found == pytest.approx(float(np.median(frames.numpy())), abs=1e-6)


def test_silent_chunks_count_and_are_never_nan() -> None:
    reference = torch.zeros(1, 30)
    estimate = torch.cat([torch.zeros(1, 20), torch.ones(1, 10)], dim=-1)
    assert chunk_sdr(reference, estimate, window=10).item() == 0.0
    found = chunk_sdr(reference[:, 20:], estimate[:, 20:], window=10).item()
    assert found == pytest.approx(-80.0, abs=1e-4)


@pytest.mark.parametrize(
    ("samples", "window", "eps"), [(0, 10, 1e-7), (9, 0, 1e-7), (9, 3, 0.0), (9, 3, math.nan)]
)
def test_no_chunk_and_no_constant_are_refused(samples: int, window: int, eps: float) -> None:
    with pytest.raises(ValueError, match=f"{samples} samples in chunks of {window} with eps {eps}"):
        chunk_sdr(torch.zeros(1, samples), torch.zeros(1, samples), window=window, eps=eps)


def test_k_sdr_runs_from_0_at_minus_10_db_to_100_at_10_db() -> None:
    stem = torch.ones(1, 1_000, dtype=torch.float64)
    errors = [10.0, math.sqrt(10.0), 1.0, math.sqrt(0.1), 0.0]  # -20, -10, 0, 10, 100 dB or more
    found = [k_sdr(stem, (1 + error) * stem).item() for error in errors]
    half = 100 * math.log(11) / math.log(21)
    assert found == pytest.approx([0.0, 0.0, half, 100.0, 100.0], abs=1e-4)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_leading_dimensions_are_scored_one_by_one(metric: Any, dtype: torch.dtype) -> None:
    level = torch.logspace(0, -6, 3)[:, None, None, None]  # the loud ones must not hide the others
    reference, estimate = (level * noise(seed, 3, 2, 2, 1_100).to(dtype) for seed in (0, 1))
    found = metric(reference, estimate)
    assert found.shape == (3, 2) and found.dtype == dtype
    for place in ((0, 0), (1, 0), (2, 1)):
        alone = metric(reference[place], estimate[place])
        assert alone.shape == ()
        assert found[place].item() == pytest.approx(alone.item(), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("case", CASES)
def test_float32_scores_as_float64(metric: Any, case: str) -> None:
    precise = metric(*pair(case)).item()
    tolerance = 2e-5 if case == "identical" else 1e-5
    if metric not in IN_DB:
        tolerance += 1e-4 * precise
    assert metric(*pair(case, torch.float32)).item() == pytest.approx(precise, abs=tolerance)


@pytest.mark.parametrize("metric", METRICS)
def test_scores_stay_on_the_device_of_their_audio(metric: Any) -> None:
    stem = torch.empty(3, 2, 1_100, device="meta")
    found = metric(stem, stem)
    assert found.device.type == "meta" and found.shape == (3,)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shapes", [((2, 10), (2, 11)), ((2, 10), (1, 10)), ((10,), (10,))])
def test_differing_shapes_are_refused_with_both(
    metric: Any, shapes: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    with pytest.raises(ValueError, match=r"reference is \(.*, the estimate \(.*: both must be"):
        metric(torch.zeros(shapes[0]), torch.zeros(shapes[1]))


@pytest.mark.parametrize("metric", METRICS)
def test_integers_are_refused(metric: Any) -> None:
    samples = torch.ones(2, 2_000)
    with pytest.raises(ValueError, match="the estimate torch.int16: pass floating point"):
        metric(samples, samples.short())


@pytest.mark.parametrize("metric", METRICS)
def test_gradients_point_towards_the_reference(metric: Any) -> None:
    reference = noise(0, 2, 1_100)
    louder = 1.5 if metric is bleedless else 0.5  # so that each has something to gain
    estimate = (louder * (reference + 0.5 * noise(1, 2, 1_100))).requires_grad_()
    before = metric(reference, estimate)
    before.backward()
    assert estimate.grad is not None and bool(estimate.grad.isfinite().all())
    step = 0.01 * estimate.grad / estimate.grad.abs().max()
    assert metric(reference, estimate.detach() + step).item() > before.item()


@pytest.mark.parametrize("metric", METRICS)
def test_gradients_are_the_differences_of_scores(metric: Any) -> None:
    reference = noise(0, 1, 1_100)
    estimate = (reference + noise(1, 1, 1_100)).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda e: metric(reference, e), (estimate,), fast_mode=True, eps=1e-7, atol=1e-5
    )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_silence_and_perfection_have_finite_gradients(metric: Any, level: float) -> None:
    stems = torch.stack([torch.zeros(1, 1_100), level * noise(0, 1, 1_100).float()])
    for reference, estimate in ((stems[0], stems[1]), (stems[1], stems[0]), (stems[1], stems[1])):
        heard = estimate.clone().requires_grad_()
        score = metric(reference, heard)
        score.backward()
        assert heard.grad is not None and bool(heard.grad.isfinite().all())
        assert bool(score.isfinite())


@pytest.mark.parametrize("metric", METRICS)
def test_arrays_score_as_tensors_do(metric: Any) -> None:
    reference, estimate = noise(0, 3, 2, 4_100), noise(1, 3, 2, 4_100)
    estimate = reference + 0.3 * estimate
    tensor = metric(reference, estimate)
    array = metric(reference.numpy(), estimate.numpy())
    assert isinstance(array, np.ndarray) and array.dtype == np.float64 and array.shape == (3,)
    np.testing.assert_allclose(array, tensor.numpy(), rtol=1e-9, atol=0)
    single = metric(reference.numpy().astype(np.float32), estimate.numpy().astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, array, rtol=1e-3)


@pytest.mark.filterwarnings("error")
def test_arrays_of_silence_and_perfect_arrays_warn_of_nothing() -> None:
    silent, stem = np.zeros((2, 4_100)), noise(0, 2, 4_100).numpy()
    for metric in METRICS:
        for two in ((silent, silent), (silent, stem), (stem, silent), (stem, stem)):
            assert np.isfinite(metric(*two))
    frames = frame_sdr(silent, silent, window=100, hop=50)
    assert frames.shape == (81,) and np.isnan(frames).all()
    assert np.isposinf(frame_sdr(stem, stem, window=100, hop=50)).all()
    assert np.isneginf(si_sdr_per_channel(stem, silent)).all()


@pytest.mark.parametrize("metric", METRICS)
def test_an_array_and_a_tensor_are_refused_together(metric: Any) -> None:
    stem = noise(0, 2, 4_100)
    said = "of type ndarray and Tensor: pass only numpy arrays, or only torch tensors"
    with pytest.raises(ValueError, match=said):
        metric(stem.numpy(), stem)
