import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mss_shared.metrics.sdr import frame_sdr, usdr
from mss_shared.metrics.sisdr import si_sdr
from safetensors.torch import load_file

GOLDEN = Path(__file__).parent / "golden" / "metrics"
CASES = ("noisy", "identical", "silent_reference", "poor")
VALUES = json.loads((GOLDEN / "signal_metrics.json").read_text(encoding="utf-8"))


def signals(case: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The frozen (channel, sample) reference and estimate in float64."""
    tensors = load_file(GOLDEN / "signal_metrics.safetensors")
    index = CASES.index(case)
    return (
        tensors["references_i16"][index].double() / 32768,
        tensors["estimates_i16"][index].double() / 32768,
    )


@pytest.mark.parametrize("case", CASES)
def test_usdr_equals_the_frozen_values_of_both_constants(case: str) -> None:
    reference, estimate = signals(case)
    expected = VALUES[case]
    challenge = usdr(reference, estimate).item()
    framework = usdr(reference, estimate, eps=1e-8).item()
    assert challenge == pytest.approx(expected["mdx_usdr_eps1e-7_f64"], abs=1e-9)
    assert framework == pytest.approx(expected["zf_sdr_f64"], abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_si_sdr_equals_the_frozen_values(case: str) -> None:
    found = si_sdr(*signals(case)).item()
    assert found == pytest.approx(VALUES[case]["seed_si_sdr_f64"], abs=1e-6)


def test_frame_sdr_equals_the_frozen_value_of_its_one_whole_frame() -> None:
    reference, estimate = signals("noisy")
    found = frame_sdr(reference, estimate, window=44_100, hop=44_100)
    assert found.shape == (1,)
    assert found.item() == pytest.approx(VALUES["noisy"]["chunk_sdr_1s_f64"][0], abs=1e-5)


def test_an_error_a_tenth_of_the_stem_is_20_db() -> None:
    stem = torch.ones(2, 44_100)
    assert usdr(stem, 0.9 * stem).item() == pytest.approx(20.0, abs=1e-5)
    frames = frame_sdr(stem.double(), 0.9 * stem.double(), window=1000, hop=500)
    assert frames.tolist() == pytest.approx([20.0] * 87)


@settings(deadline=None, max_examples=30)
@given(scale=st.floats(0.01, 100.0), seed=st.integers(0, 2**31))
def test_si_sdr_does_not_see_the_estimates_scale(scale: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    reference, estimate = torch.randn(2, 2, 500, generator=generator, dtype=torch.float64)
    plain = si_sdr(reference, estimate, eps=0.0).item()
    assert si_sdr(reference, scale * estimate, eps=0.0).item() == pytest.approx(plain, abs=1e-8)


@settings(deadline=None, max_examples=30)
@given(noise=st.floats(0.001, 10.0), seed=st.integers(0, 2**31))
def test_usdr_of_added_noise_is_the_ratio_of_energies(noise: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    stem, error = torch.randn(2, 2, 500, generator=generator, dtype=torch.float64)
    expected = 10 * torch.log10(stem.square().sum() / (noise * error).square().sum())
    found = usdr(stem, stem + noise * error, eps=0.0)
    assert found.item() == pytest.approx(expected.item(), abs=1e-9)


def test_metrics_keep_the_leading_dimensions() -> None:
    reference, estimate = torch.randn(2, 3, 4, 2, 800)
    assert usdr(reference, estimate).shape == (3, 4)
    assert si_sdr(reference, estimate).shape == (3, 4)
    assert frame_sdr(reference, estimate, window=200, hop=100).shape == (3, 4, 7)


def test_gradients_point_the_estimate_at_the_reference() -> None:
    reference = torch.randn(2, 800)
    for metric in (usdr, si_sdr):
        estimate = torch.randn(2, 800, requires_grad=True)
        before = metric(reference, estimate)
        before.backward()
        assert estimate.grad is not None
        assert metric(reference, estimate + 0.1 * estimate.grad) > before


@pytest.mark.parametrize("metric", [usdr, si_sdr])
def test_shapes_that_differ_are_refused_with_both(metric: object) -> None:
    assert callable(metric)
    with pytest.raises(ValueError, match=r"\(2, 800\), the estimate \(2, 799\)"):
        metric(torch.zeros(2, 800), torch.zeros(2, 799))
    with pytest.raises(ValueError, match=r"\(800,\)"):
        metric(torch.zeros(800), torch.zeros(800))


def test_a_signal_shorter_than_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="800 samples, a frame 1000"):
        frame_sdr(torch.zeros(2, 800), torch.zeros(2, 800), window=1000, hop=1000)
