"""Estimates that need no training: the mixture itself, and the ideal ratio mask.

They put every score into perspective: a method that does not beat the mixture has learnt nothing,
and one that beats the ratio mask does more than mask magnitudes and keep the mixture's phase.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.signal import ShortTimeFFT, get_window

from mss_shared.audio import Audio
from mss_shared.datasets import Track

IRM_N_FFT = 2048
IRM_HOP = 1024
BLOCK = 1 << 19  # samples at a time; a multiple of the hop


def mixture_as_estimate(track: Track, stems: tuple[str, ...]) -> Iterator[Audio]:
    """(stem, channel, sample) blocks: the mixture in place of every stem."""
    for start in range(0, track.info.samples, BLOCK):
        mixture = track.read_mixture(start, min(BLOCK, track.info.samples - start))
        yield np.stack([mixture] * len(stems))


def ideal_ratio_mask(track: Track, stems: tuple[str, ...]) -> Iterator[Audio]:
    """(stem, channel, sample) blocks: the mixture, masked by each stem's share of the power.

    The mask of a bin is a stem's power divided by the sum of the powers of all stems of the track,
    including those not asked for, in each channel alone; STFT of 2048 samples, hop 1024, periodic
    Hann window.

    Source: IRM2 of the Signal Separation Evaluation Campaign (Stöter et al. 2018), without its
    Wiener step.
    """
    window = get_window("hann", IRM_N_FFT, fftbins=True)
    transform = ShortTimeFFT(window, IRM_HOP, fs=track.info.sample_rate)
    samples = track.info.samples
    for start in range(0, samples, BLOCK):
        stop = min(start + BLOCK, samples)
        # With all frames that touch the block, on the grid of the whole song.
        first, last = max(0, start - 2 * IRM_N_FFT), min(samples, stop + 2 * IRM_N_FFT)
        if samples - last < IRM_N_FFT:  # frames at the end of a song are padded there alone
            last = samples
        masked = _mask(track, stems, first, last, transform)
        yield masked[..., start - first : stop - first].astype(np.float32)


def _mask(
    track: Track, stems: tuple[str, ...], first: int, last: int, transform: ShortTimeFFT
) -> Audio:
    """(stem, channel, last - first) float64: an excerpt of the mixture, masked."""
    all_stems = (*stems, *(stem for stem in track.stems if stem not in stems))
    excerpt = track.read_stems(all_stems, first, last - first).astype(np.float64)
    powers = np.abs(transform.stft(excerpt)) ** 2
    total, power = powers.sum(axis=0), powers[: len(stems)]
    mask = np.divide(power, total, out=np.zeros_like(power), where=total > 0)
    mixture = transform.stft(track.read_mixture(first, last - first).astype(np.float64))
    estimates: Audio = transform.istft(mask * mixture, k1=last - first)
    return estimates


ORACLES = {
    "mixture": ("baseline", mixture_as_estimate),
    "irm": ("oracle", ideal_ratio_mask),
}
