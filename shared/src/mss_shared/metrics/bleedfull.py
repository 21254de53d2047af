"""Bleedless and fullness: how much an estimate adds, and how much it lacks, on mel bands."""

from __future__ import annotations

import functools
import math
from typing import Any, Generic, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mss_shared.metrics.arrays import Signal, check_shapes, get_array_functions, like
from mss_shared.metrics.stft import magnitude_blocks

__all__ = ["BleedFull", "bleedless_fullness"]

SAMPLE_RATE = 44_100
N_FFT = 4096
HOP = 1024
BANDS = 512
RANGE_DB = 80.0
SMALLEST = 1e-10
# Bands per matrix product: fewer bands waste less on zero weights, more bands save calls.
NEIGHBOURS = 32


class BleedFull(NamedTuple, Generic[Signal]):
    """Two scores from 0 to 100, each of shape (...); higher is better."""

    bleedless: Signal
    fullness: Signal


def bleedless_fullness(
    reference: Signal, estimate: Signal, *, sample_rate: int
) -> BleedFull[Signal]:
    """How little an estimate adds and how little it lacks, on mel bands. Differentiable.

    d is estimate minus reference in dB, of magnitudes (n_fft 4096, hop 1024, Hann window, padded
    with zeros) in 512 mel bands. bleedless = 100 / (1 + mean of the positive d); fullness = 100 /
    (1 + mean absolute value of the negative d); 100 if there are none. Beforehand, each side is
    clipped from below at 80 dB under its own maximum over channels, bands and frames. So d is
    seldom 0: where both sides are clipped, d is the difference of the two maxima.

    Args:
        reference: (..., channel, sample) true stem.
        estimate: (..., channel, sample) separated stem.
        sample_rate: of both; only 44100, since the bands reach 22,050 Hz.

    Returns:
        Two scores of shape (...), without unit. A silent reference scores fullness 100 and
        bleedless about 1, a silent estimate the reverse, two silent signals 100 twice. All mel
        bands are held in memory at once: half as many values as the inputs hold.

    Raises:
        ValueError: if the shapes differ, there is no sample, or the rate is not 44100.

    Source: the bleed_full metrics of ZFTurbo's Music-Source-Separation-Training.
    """
    check_shapes(reference, estimate)
    if sample_rate != SAMPLE_RATE:
        raise ValueError(
            f"the audio is at {sample_rate} Hz, bleedless and fullness are defined at "
            f"{SAMPLE_RATE} Hz: resample it first"
        )
    xp = get_array_functions(reference)
    totals, counts = 0.0, 0
    for r, e in zip(_levels(reference), _levels(estimate), strict=True):
        difference = xp.stack([e - r, r - e])  # too much, too little
        totals = totals + xp.sum(xp.clip(difference, min=0.0), axis=(-3, -2, -1))
        counts = counts + xp.count_nonzero(difference > 0, axis=(-3, -2, -1))
    means = totals / xp.astype(xp.clip(counts, min=1), reference.dtype)
    return BleedFull(*(100.0 / (1.0 + means)))


def _levels(signal: Any) -> list[Any]:
    """(..., channel, sample) -> blocks of (..., channel, band, frame) within 80 dB."""
    xp, filters = get_array_functions(signal), like(mel_filters(), signal)
    groups = [(span, filters[rows, span]) for rows, span in _groups()]
    window = like(0.5 - 0.5 * np.cos(2.0 * np.pi / N_FFT * np.arange(N_FFT)), signal)
    blocks = []
    for magnitudes in magnitude_blocks(signal, window=window, hop=HOP, padding="zeros"):
        bands = [part @ magnitudes[..., span, :] for span, part in groups]
        blocks.append(20.0 * xp.log10(xp.clip(xp.concat(bands, axis=-2), min=SMALLEST)))
    top = xp.max(xp.stack([xp.max(block, axis=(-3, -2, -1)) for block in blocks]), axis=0)
    return [xp.maximum(block, top[..., None, None, None] - RANGE_DB) for block in blocks]


@functools.cache
def _groups() -> list[tuple[slice, slice]]:
    """Groups of neighbouring bands, each with the bins it spans: all its other weights are 0."""
    groups = []
    for first in range(0, BANDS, NEIGHBOURS):
        rows = slice(first, first + NEIGHBOURS)
        bins = np.flatnonzero(mel_filters()[rows].any(axis=0))
        groups.append((rows, slice(int(bins[0]), int(bins[-1]) + 1)))
    return groups


@functools.cache
def mel_filters() -> NDArray[np.float64]:
    """(band, bin) float64 weights: 512 triangles, evenly spaced in mel from 0 to 22,050 Hz.

    Each has area 1 in Hz. Bins are 10.8 Hz apart, so the lowest triangles cover one or two.

    Source: Slaney 1998, Auditory Toolbox: linear below 1 kHz, logarithmic above.
    """
    top = hz_to_mel(SAMPLE_RATE / 2)
    edges = np.array([mel_to_hz(top * edge / (BANDS + 1)) for edge in range(BANDS + 2)])
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = np.arange(N_FFT // 2 + 1, dtype=np.float64) * SAMPLE_RATE / N_FFT
    rise, fall = (bins - low) / (centre - low), (high - bins) / (high - centre)
    weights: NDArray[np.float64] = np.minimum(rise, fall).clip(min=0.0) * 2.0 / (high - low)
    return weights


def hz_to_mel(hz: float) -> float:
    """Slaney's scale: 15 mel per kHz up to 1 kHz, then 27 mel for a factor of 6.4."""
    return 0.015 * hz if hz < 1000.0 else 15.0 + 27.0 * math.log(hz / 1000.0, 6.4)


def mel_to_hz(mel: float) -> float:
    """The inverse of `hz_to_mel`."""
    return mel / 0.015 if mel < 15.0 else float(1000.0 * 6.4 ** ((mel - 15.0) / 27.0))
