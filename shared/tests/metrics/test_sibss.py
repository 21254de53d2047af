"""SI-SDR, SI-SIR and SI-SAR of stems together: closed forms, least squares, invariances."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from frozen_metrics import noise
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_places import GOLDEN

from mss_shared.metrics import sibss
from mss_shared.metrics.sibss import si_bss_eval
from mss_shared.metrics.sisdr import si_sdr

Array = NDArray[np.float64]
NAMES = ("si_sdr", "si_sir", "si_sar")


def song(seed: int, *shape: int) -> tuple[Array, Array]:
    """References, and estimates with leakage and noise; (..., stem, channel, sample)."""
    references = noise(seed, *shape).numpy()
    mixture = references.sum(axis=-3, keepdims=True)
    return references, references + 0.3 * mixture + 0.1 * noise(seed + 1, *shape).numpy()


def least_squares(references: Array, estimates: Array) -> Array:
    """(ratio, stem) by the definition, without constants."""
    flat = [x.reshape(len(x), -1) for x in (references, estimates)]
    flat = [x - x.mean(axis=1, keepdims=True) for x in flat]
    ratios = []
    for reference, estimate in zip(*flat, strict=True):
        target = (estimate @ reference) / (reference @ reference) * reference
        error = estimate - target
        weights = np.linalg.lstsq(flat[0].T, error, rcond=None)[0]
        interference = flat[0].T @ weights
        parts = (error, interference, error - interference)
        ratios.append([10 * np.log10((target @ target) / (part @ part)) for part in parts])
    return np.transpose(ratios)


def test_a_leak_of_a_tenth_and_noise_of_a_hundredth_are_20_and_40_db() -> None:
    wave = np.tile([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0], [1.0, -1.0, -1.0, 1.0]], 250)
    first, second, error = wave[:, None]  # orthogonal, of mean 0 and one energy
    references = np.stack([first, second])
    estimates = np.stack([first + 0.1 * second + 0.01 * error, -2.0 * second])
    found = si_bss_eval(references, estimates)
    assert found.si_sir[0] == pytest.approx(20.0, abs=1e-6)
    assert found.si_sar[0] == pytest.approx(40.0, abs=1e-6)
    assert found.si_sdr[0] == pytest.approx(-10 * math.log10(0.0101), abs=1e-6)
    assert min(values[1] for values in found) > 110.0


@settings(max_examples=50)
@given(
    seed=st.integers(0, 999),
    stems=st.integers(1, 4),
    channels=st.integers(1, 3),
    samples=st.integers(20, 200),
    offset=st.floats(-1.0, 1.0),
)
def test_least_squares_give_the_same_ratios(
    seed: int, stems: int, channels: int, samples: int, offset: float
) -> None:
    references, estimates = song(seed, stems, channels, samples)
    found = si_bss_eval(references + offset, estimates - offset, eps=1e-15)
    expected = least_squares(references, estimates)
    assert [values.shape for values in found] == [(stems,)] * 3
    if stems == 1:  # nothing interferes: only the constant is in the denominator
        assert found.si_sir.min() > 120.0
        expected[1] = found.si_sir
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


@given(seed=st.integers(0, 999), stems=st.integers(1, 4), channels=st.integers(1, 2))
def test_si_sdr_is_si_sdr_and_its_error_the_sum_of_both_parts(
    seed: int, stems: int, channels: int
) -> None:
    references, estimates = song(seed, stems, channels, 300)
    found = si_bss_eval(references, estimates)
    np.testing.assert_allclose(found.si_sdr, si_sdr(references, estimates), rtol=0, atol=1e-9)
    shares = [10 ** (-values / 10) for values in found]
    np.testing.assert_allclose(shares[0], shares[1] + shares[2], rtol=1e-7)


@pytest.mark.parametrize("level", [1e-8, 1e-6, 1e-5])
def test_the_constants_act_where_those_of_si_sdr_do(level: float) -> None:
    references, estimates = song(7, 2, 2, 500)
    pair = level * references, estimates  # at 1e-5, the reference's energy is that of the constant
    np.testing.assert_allclose(si_bss_eval(*pair).si_sdr, si_sdr(*pair), rtol=0, atol=1e-9)


def test_fast_bss_eval_has_the_interference_in_the_numerator_of_si_sar() -> None:
    frozen = json.loads((GOLDEN / "metrics" / "mir_eval.json").read_text(encoding="utf-8"))
    expected = frozen["fast_bss_eval.si_bss_eval_sources"]
    with np.load(GOLDEN / "metrics" / "bss_signals.npz") as signals:
        references, estimates = (
            np.stack([signals[f"permutation_3src_{side}_{n}"][:, 0] for n in range(3)]) / 32768.0
            for side in ("reference", "estimate")
        )
    found = si_bss_eval(references[:, None], estimates[:, None])
    np.testing.assert_allclose(found.si_sdr, expected["SI-SDR"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.si_sir, expected["SI-SIR"], rtol=0, atol=1e-6)
    more = 10 * np.log10(1 + 10 ** (-found.si_sir / 10))
    np.testing.assert_allclose(found.si_sar + more, expected["SI-SAR"], rtol=0, atol=1e-6)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 999),
    gains=st.lists(st.floats(0.01, 100.0), min_size=6, max_size=6),
    order=st.permutations(range(3)),
)
def test_gains_change_nothing_and_the_order_of_stems_only_the_order(
    seed: int, gains: list[float], order: list[int]
) -> None:
    references, estimates = song(seed, 3, 2, 200)
    plain = si_bss_eval(references, estimates, eps=1e-14)
    scale = np.array(gains).reshape(2, 3, 1, 1)
    moved = si_bss_eval(scale[0] * references, -scale[1] * estimates, eps=1e-14)
    np.testing.assert_allclose(moved, plain, rtol=0, atol=1e-6)
    turned = si_bss_eval(references[order], estimates[order], eps=1e-14)
    np.testing.assert_allclose(turned, [values[order] for values in plain], rtol=0, atol=1e-9)


def test_both_channels_have_one_scale() -> None:
    wave = np.tile([1.0, -1.0], 100)
    references = np.stack([wave, wave])[None]
    estimates = references * [[1.0], [0.0]]
    found = si_bss_eval(references, estimates)  # half of it in each: the error is as loud
    assert found.si_sdr.item() == pytest.approx(0.0, abs=1e-6)
    assert found.si_sar.item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("copies", [[0], [0, 0], [0, 1], [0, 1, 1]])
def test_references_that_depend_on_others_add_nothing_to_their_span(copies: list[int]) -> None:
    references, estimates = song(0, 3, 2, 500)
    doubled = np.concatenate([references, references[copies] * 1e-3])
    summed = np.concatenate([references, references[[0, 1]].sum(axis=0, keepdims=True)])
    plain = si_bss_eval(references, estimates)
    for more in (doubled, summed):
        both = np.concatenate([estimates, more[3:]])
        found = si_bss_eval(more, both)
        np.testing.assert_allclose([x[:3] for x in found], plain, rtol=0, atol=1e-7)


def test_a_quiet_stem_counts_like_a_loud_one() -> None:
    references, estimates = song(1, 2, 2, 500)
    plain = si_bss_eval(references, estimates, eps=0.0)
    quiet = references * np.array([1.0, 1e-7]).reshape(2, 1, 1)
    found = si_bss_eval(quiet, estimates, eps=0.0)
    np.testing.assert_allclose(found, plain, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_silence_is_finite_and_no_interference(kind: Any) -> None:
    references, estimates = song(2, 3, 2, 500)
    references[1] = 0.0
    found = si_bss_eval(kind(references), kind(estimates))
    others = si_bss_eval(kind(references[[0, 2]]), kind(estimates[[0, 2]]))
    for values, without in zip(found, others, strict=True):
        np.testing.assert_allclose(values[[0, 2]], without, rtol=0, atol=1e-9)
        assert -math.inf < values[1] < -100.0
    silent = si_bss_eval(kind(references), 0 * kind(estimates))
    assert all(values.tolist() == [0.0, 0.0, 0.0] for values in silent)


@settings(max_examples=20)
@given(
    leading=st.lists(st.integers(1, 3), max_size=2),
    stems=st.integers(1, 3),
    samples=st.integers(30, 90),
    block=st.integers(1, 40),
)
def test_leading_dimensions_and_blocks_change_nothing(
    leading: list[int], stems: int, samples: int, block: int
) -> None:
    references, estimates = song(3, *leading, stems, 2, samples)
    whole = si_bss_eval(references, estimates)
    assert [values.shape for values in whole] == [(*leading, stems)] * 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sibss, "BLOCK", block)
        np.testing.assert_allclose(si_bss_eval(references, estimates), whole, rtol=0, atol=1e-8)
    first = (0,) * len(leading)
    alone = si_bss_eval(references[first], estimates[first])
    np.testing.assert_allclose(alone, [values[first] for values in whole], rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_score_as_arrays_in_their_own_precision(dtype: torch.dtype) -> None:
    references, estimates = song(4, 3, 2, 4_000)
    expected = si_bss_eval(references, estimates)
    found = si_bss_eval(*(torch.from_numpy(x).to(dtype) for x in (references, estimates)))
    for name in NAMES:
        values = getattr(found, name)
        assert isinstance(values, torch.Tensor) and values.dtype == dtype
        np.testing.assert_allclose(values, getattr(expected, name), rtol=0, atol=1e-4)
    single = si_bss_eval(references.astype(np.float32), estimates.astype(np.float32))
    assert single.si_sar.dtype == np.float32
    np.testing.assert_allclose(single, expected, rtol=0, atol=1e-4)


def test_scores_stay_on_the_device_of_their_audio() -> None:
    stems = torch.empty(5, 3, 2, 100, device="meta")
    for values in si_bss_eval(stems, stems):
        assert values.device.type == "meta" and values.shape == (5, 3)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_the_differences_of_scores(name: str) -> None:
    references, estimates = (torch.from_numpy(x).requires_grad_() for x in song(5, 2, 2, 50))
    assert torch.autograd.gradcheck(
        lambda r, e: getattr(si_bss_eval(r, e), name), (references, estimates), eps=1e-6, atol=1e-4
    )


@pytest.mark.parametrize("name", NAMES)
def test_silence_and_perfection_have_finite_gradients(name: str) -> None:
    stems = noise(6, 3, 1, 100)
    stems[1] = 0.0
    for estimate in (stems, 0 * stems, torch.ones_like(stems)):
        heard = estimate.clone().requires_grad_()
        getattr(si_bss_eval(stems, heard), name).sum().backward()
        assert heard.grad is not None and bool(heard.grad.isfinite().all())


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 44_100, 2), "the reference has 44100 channels of 2 samples: pass"),
        ((44_100, 4, 8), "the references have 44100 stems of 8 samples: pass"),
        ((2, 44_100), r"the references are \(2, 44100\): pass \(\.\.\., stem, channel, sample\)"),
    ],
)
@pytest.mark.parametrize("kind", [np.ones, torch.ones])
def test_axes_in_another_order_are_refused(shape: tuple[int, ...], message: str, kind: Any) -> None:
    with pytest.raises(ValueError, match=message):
        si_bss_eval(kind(shape), kind(shape))


def test_differing_shapes_and_no_sample_are_refused() -> None:
    with pytest.raises(ValueError, match="the reference is .*, the estimate .*: both must be"):
        si_bss_eval(np.ones((2, 2, 9)), np.ones((2, 2, 10)))
    with pytest.raises(ValueError, match="the references have no sample"):
        si_bss_eval(np.ones((2, 2, 0)), np.ones((2, 2, 0)))
