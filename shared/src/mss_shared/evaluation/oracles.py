"""Estimates that need no training: the mixture itself, and the ideal ratio mask.

They put every score into perspective: a method that does not beat the mixture has learnt nothing,
and one that beats the ratio mask does more than mask magnitudes and keep the mixture's phase.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import ShortTimeFFT, get_window

from mss_shared.audio import Audio, fit_length
from mss_shared.datasets import Track

IRM_N_FFT = 2048
IRM_HOP = 1024


def mixture_as_estimate(track: Track, stems: tuple[str, ...]) -> Audio:
    """(stem, channel, sample): the mixture in place of every stem."""
    return np.stack([track.read_mixture()] * len(stems))


def ideal_ratio_mask(track: Track, stems: tuple[str, ...]) -> Audio:
    """(stem, channel, sample): the mixture, masked by each stem's share of the power.

    The mask of a bin is a stem's power divided by the sum of the powers of all stems of the track,
    including those not asked for, in each channel alone; STFT of 2048 samples, hop 1024, periodic
    Hann window.

    Source: IRM2 of the Signal Separation Evaluation Campaign (Stöter et al. 2018), without its
    Wiener step.
    """
    window = get_window("hann", IRM_N_FFT, fftbins=True)
    transform = ShortTimeFFT(window, IRM_HOP, fs=track.info.sample_rate)
    all_stems = (*stems, *(stem for stem in track.stems if stem not in stems))
    specs = transform.stft(track.read_stems(all_stems).astype(np.float64))
    powers = np.abs(specs) ** 2
    total, power = powers.sum(axis=0), powers[: len(stems)]
    mask = np.divide(power, total, out=np.zeros_like(power), where=total > 0)
    mixture = transform.stft(track.read_mixture().astype(np.float64))
    samples = track.info.samples
    estimates = transform.istft(mask * mixture, k1=samples)
    return np.stack([fit_length(e.astype(np.float32), samples) for e in estimates])


ORACLES = {
    "mixture": ("baseline", mixture_as_estimate),
    "irm": ("oracle", ideal_ratio_mask),
}
