"""L1Freq, bleedless and fullness against closed forms, torch's own STFT and frozen values."""

import math

import numpy as np
import pytest
import torch
from frozen_metrics import CASES, RATE, VALUES, noise, pair
from hypothesis import given
from hypothesis import strategies as st

from mss_shared.metrics import stft
from mss_shared.metrics.bleedfull import bleedless_fullness, hz_to_mel, mel_filters, mel_to_hz
from mss_shared.metrics.l1freq import l1_freq
from mss_shared.metrics.stft import Padding, magnitude_blocks

TORCH_PADDING: dict[Padding, str] = {"reflect": "reflect", "zeros": "constant"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", CASES)
def test_l1_freq_is_the_frozen_value(case: str, dtype: torch.dtype) -> None:
    found = l1_freq(*pair(case, dtype)).item()
    assert found == pytest.approx(VALUES[case]["zf_l1_freq"], rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", CASES)
def test_bleedless_and_fullness_are_the_frozen_values(case: str, dtype: torch.dtype) -> None:
    found = bleedless_fullness(*pair(case, dtype), sample_rate=RATE)
    assert found.bleedless.item() == pytest.approx(VALUES[case]["zf_bleedless"], rel=1e-4)
    assert found.fullness.item() == pytest.approx(VALUES[case]["zf_fullness"], rel=1e-4)


@given(
    samples=st.integers(40, 400),
    n_fft=st.sampled_from([16, 32, 64]),
    hop=st.integers(5, 40),
    padding=st.sampled_from(sorted(TORCH_PADDING)),
    block=st.integers(1, 2_000),
)
def test_blocks_side_by_side_are_torchs_spectrogram(
    samples: int, n_fft: int, hop: int, padding: Padding, block: int
) -> None:
    signal, window = noise(samples, 2, samples), noise(n_fft, n_fft)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stft, "BLOCK_VALUES", block)
        blocks = list(magnitude_blocks(signal, window=window, hop=hop, padding=padding))
    assert all(2 * n_fft * part.shape[-1] <= max(block, 2 * n_fft) for part in blocks)
    expected = torch.stft(
        signal, n_fft, hop, window=window, pad_mode=TORCH_PADDING[padding], return_complex=True
    ).abs()
    torch.testing.assert_close(torch.cat(blocks, dim=-1), expected, rtol=0, atol=1e-10)


def test_an_impulse_counts_in_the_two_frames_that_hold_it() -> None:
    reference = torch.zeros(1, 20 * 1_024, dtype=torch.float64)
    estimate = reference.clone()
    estimate[0, 9_999] = 0.5  # a flat spectrum of 0.5 in 2 of 21 frames
    assert l1_freq(reference, estimate).item() == pytest.approx(100 / (1 + 10 * 0.5 * 2 / 21))


def test_l1_freq_hears_no_phase() -> None:
    stem = noise(0, 2, 5_000)
    assert l1_freq(stem, -stem).item() == 100.0
    assert l1_freq(stem, 0 * stem).item() == l1_freq(0 * stem, stem).item() < 100.0


def test_l1_freq_of_short_audio_is_refused_with_its_length() -> None:
    assert l1_freq(torch.ones(1, 1_025), torch.ones(1, 1_025)).item() == 100.0
    with pytest.raises(ValueError, match="has 1024 samples: frames of 2048 need at least 1025"):
        l1_freq(torch.ones(1, 1_024), torch.ones(1, 1_024))


@given(gain_db=st.floats(0.1, 40.0), samples=st.integers(1, 9_000), seed=st.integers(0, 99))
def test_a_change_of_level_counts_whole_on_one_side_and_not_on_the_other(
    gain_db: float, samples: int, seed: int
) -> None:
    stem = noise(seed, 2, samples)
    louder = 10 ** (gain_db / 20) * stem
    more = bleedless_fullness(stem, louder, sample_rate=RATE)
    less = bleedless_fullness(louder, stem, sample_rate=RATE)
    assert more.fullness.item() == less.bleedless.item() == 100.0
    expected = 100 / (1 + gain_db)
    assert more.bleedless.item() == pytest.approx(expected, rel=1e-6)
    assert less.fullness.item() == pytest.approx(expected, rel=1e-6)


@given(scale=st.floats(0.01, 100.0), seed=st.integers(0, 99))
def test_a_common_level_changes_neither_score_and_swapped_roles_swap_them(
    scale: float, seed: int
) -> None:
    reference, estimate = noise(seed, 2, 3_000), noise(seed + 1, 2, 3_000)
    plain = bleedless_fullness(reference, estimate, sample_rate=RATE)
    assert 0 < plain.bleedless.item() < 100 and 0 < plain.fullness.item() < 100
    scaled = bleedless_fullness(scale * reference, scale * estimate, sample_rate=RATE)
    assert torch.stack(scaled).tolist() == pytest.approx(torch.stack(plain).tolist(), rel=1e-9)
    swapped = bleedless_fullness(estimate, reference, sample_rate=RATE)
    assert (swapped.bleedless, swapped.fullness) == (plain.fullness, plain.bleedless)


def test_what_is_80_db_below_the_top_of_its_own_side_is_silent() -> None:
    time = torch.arange(RATE, dtype=torch.float64) / RATE
    tone, far = torch.sin(2 * math.pi * 440 * time), torch.sin(2 * math.pi * 9_000 * time)
    window = torch.hann_window(RATE, dtype=torch.float64)  # no clicks at the ends
    reference = (window * tone)[None]
    for level_db, least, most in ((-50.0, 0.0, 90.0), (-90.0, 99.99, 100.0)):
        estimate = (window * (tone + 10 ** (level_db / 20) * far))[None]
        found = bleedless_fullness(reference, estimate, sample_rate=RATE).bleedless.item()
        assert least < found <= most


def test_silence_is_200_db_below_full_scale() -> None:
    stem = noise(0, 1, 9_000)
    silent = torch.zeros_like(stem)
    bleed = bleedless_fullness(silent, stem, sample_rate=RATE)
    lack = bleedless_fullness(stem, silent, sample_rate=RATE)
    assert bleed.fullness.item() == lack.bleedless.item() == 100.0
    assert bleed.bleedless.item() == lack.fullness.item()
    assert 100 / (1 + 260) < bleed.bleedless.item() < 100 / (1 + 140)
    assert torch.stack(bleedless_fullness(silent, silent, sample_rate=RATE)).tolist() == [100, 100]


def test_other_rates_and_no_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="is at 48000 Hz, .* defined at 44100 Hz: resample"):
        bleedless_fullness(torch.ones(1, 9), torch.ones(1, 9), sample_rate=48_000)
    with pytest.raises(ValueError, match="has 0 samples: frames of 4096 need at least 1"):
        bleedless_fullness(torch.ones(1, 0), torch.ones(1, 0), sample_rate=RATE)


def test_mel_is_linear_to_1_khz_and_logarithmic_above() -> None:
    found = [hz_to_mel(hz) for hz in (0.0, 200.0, 1_000.0, 6_400.0, 40_960.0)]
    assert found == pytest.approx([0.0, 3.0, 15.0, 42.0, 69.0])
    for mel in (0.0, 3.0, 14.999, 15.0, 42.0, 59.5):
        assert hz_to_mel(mel_to_hz(mel)) == pytest.approx(mel)


def test_mel_bands_have_the_area_1_and_their_tops_rise_from_0_to_half_the_rate() -> None:
    filters = mel_filters()
    assert filters.shape == (512, 2_049) and bool((filters >= 0).all())
    areas = filters.sum(axis=-1) * RATE / 4_096
    assert areas[-128:].tolist() == pytest.approx([1.0] * 128, abs=0.01)  # 10 bins wide or more
    tops = filters.argmax(axis=-1)[-256:] * RATE / 4_096
    spaces = np.diff([hz_to_mel(float(hz)) for hz in tops])
    assert bool((spaces > 0).all())
    assert hz_to_mel(RATE / 2) - hz_to_mel(float(tops[-1])) == pytest.approx(
        hz_to_mel(RATE / 2) / 513, abs=0.01
    )
