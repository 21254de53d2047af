"""Estimates without training: the mixture itself, the ideal ratio mask, the ideal Wiener filter.

They put every score into perspective: a method that does not beat the mixture has learnt nothing,
one that beats the ratio mask does more than mask magnitudes and keep the mixture's phase, and one
that beats the Wiener filter also more than weigh the channels against each other.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.signal import ShortTimeFFT, get_window

from mss_shared.audio import Audio
from mss_shared.datasets import Track

N_FFT = 2048
HOP = 1024
BLOCK = 1 << 19  # samples at a time; a multiple of the hop
_FLOOR = 1e-10  # power added to the mixture's covariance: below the rounding of 16 bits


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
    transform = _transform(track)
    for start, stop, first, last in _blocks(track.info.samples):
        stems_, mixture = _spectra(track, stems, first, last, transform)
        powers = np.abs(stems_) ** 2
        total, power = powers.sum(axis=0), powers[: len(stems)]
        mask = np.divide(power, total, out=np.zeros_like(power), where=total > 0)
        masked = transform.istft(mask * mixture, k1=last - first)
        yield masked[..., start - first : stop - first].astype(np.float32)


def ideal_wiener_filter(track: Track, stems: tuple[str, ...]) -> Iterator[Audio]:
    """(stem, channel, sample) blocks: the mixture, filtered by the stems' known second moments.

    In the local Gaussian model a stem has a power per bin, the mean over channels, and a spatial
    covariance per frequency, its mean over the song weighted by power. With both known, the filter
    has the least mean square error of all linear ones; it mixes channels, unlike a mask. STFT as
    that of ``ideal_ratio_mask``; all stems of the track are in the mixture's covariance.

    Source: Duong, Vincent and Gribonval 2010; MWF of the Signal Separation Evaluation Campaign
    (Stöter et al. 2018), whose covariances are found by iterating.
    """
    transform = _transform(track)
    covariances = _spatial_covariances(track, stems, transform)
    for start, stop, first, last in _blocks(track.info.samples):
        stems_, mixture = _spectra(track, stems, first, last, transform)
        power = np.mean(np.abs(stems_) ** 2, axis=1)
        total = np.einsum("jft,jfcd->ftcd", power, covariances)
        total += _FLOOR * np.eye(mixture.shape[0])
        white = np.linalg.solve(total, np.moveaxis(mixture, 0, -1)[..., None])[..., 0]
        wanted = slice(len(stems))
        filtered = np.einsum("jft,jfcd,ftd->jcft", power[wanted], covariances[wanted], white)
        estimates = transform.istft(filtered, k1=last - first)
        yield estimates[..., start - first : stop - first].astype(np.float32)


def _transform(track: Track) -> ShortTimeFFT:
    window = get_window("hann", N_FFT, fftbins=True)
    return ShortTimeFFT(window, HOP, fs=track.info.sample_rate)


def _blocks(samples: int) -> Iterator[tuple[int, int, int, int]]:
    """Start and stop of each block, and of the excerpt with all frames that touch it.

    The frames lie on the grid of the whole song.
    """
    for start in range(0, samples, BLOCK):
        stop = min(start + BLOCK, samples)
        first, last = max(0, start - 2 * N_FFT), min(samples, stop + 2 * N_FFT)
        if samples - last < N_FFT:  # frames at the end of a song are padded there alone
            last = samples
        yield start, stop, first, last


def _spectra(
    track: Track, stems: tuple[str, ...], first: int, last: int, transform: ShortTimeFFT
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """(stem, channel, bin, frame) of all stems, those asked for first; and of the mixture."""
    all_stems = (*stems, *(stem for stem in track.stems if stem not in stems))
    excerpt = track.read_stems(all_stems, first, last - first).astype(np.float64)
    mixture = track.read_mixture(first, last - first).astype(np.float64)
    return transform.stft(excerpt), transform.stft(mixture)


def _spatial_covariances(
    track: Track, stems: tuple[str, ...], transform: ShortTimeFFT
) -> NDArray[np.complex128]:
    """(stem, bin, channel, channel): outer products of the frames over the sum of their powers."""
    products, powers = 0.0, 0.0
    for start, stop, first, last in _blocks(track.info.samples):
        spectra, _ = _spectra(track, stems, first, last, transform)
        centres = first + HOP * (np.arange(spectra.shape[-1]) + transform.p_min)
        begins, ends = start > 0, stop < track.info.samples
        inside = ~(begins & (centres < start)) & ~(ends & (centres >= stop))
        spectra = spectra[..., inside]
        products = products + np.einsum("jcft,jdft->jfcd", spectra, spectra.conj())
        powers = powers + np.mean(np.abs(spectra) ** 2, axis=1).sum(axis=-1)
    totals = np.asarray(powers)[..., None, None]
    covariances: NDArray[np.complex128] = np.divide(
        products, totals, out=np.zeros_like(products), where=totals > 0
    )
    return covariances


ORACLES = {
    "mixture": ("baseline", mixture_as_estimate),
    "irm": ("oracle", ideal_ratio_mask),
    "mwf": ("oracle", ideal_wiener_filter),
}
