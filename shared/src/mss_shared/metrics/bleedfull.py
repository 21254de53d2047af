"""Bleedless and fullness: what an estimate has too much, and too little, on mel bands."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from mss_shared.metrics.sdr import check_shapes
from mss_shared.metrics.stft import magnitude_blocks

SAMPLE_RATE = 44_100
N_FFT = 4096
HOP = 1024
BANDS = 512
RANGE_DB = 80.0
SMALLEST = 1e-10
# Bands that one product computes; fewer waste less on weights of 0, more spare calls.
NEIGHBOURS = 32


class BleedFull(NamedTuple):
    """Two scores from 0 to 100, each of shape (...); higher is better."""

    bleedless: Tensor
    fullness: Tensor


def bleedless_fullness(reference: Tensor, estimate: Tensor, *, sample_rate: int) -> BleedFull:
    """How little an estimate adds and how little it lacks, on mel bands. Differentiable.

    d is estimate minus reference, in dB, of magnitudes (n_fft 4096, hop 1024, Hann, zeros beyond
    the ends) in 512 mel bands. bleedless = 100 / (1 + mean of the positive d); fullness = 100 /
    (1 + mean of the negative d, without sign); 100 where there are none. Before that each side is
    raised to 80 dB below its own maximum over channels, bands and frames, so that d is seldom 0:
    where both rest on that floor, d is the difference of the maxima.

    Args:
        reference: (..., channel, sample) true stem.
        estimate: (..., channel, sample) separated stem.
        sample_rate: of both; only 44100, since the bands reach 22,050 Hz.

    Returns:
        Two times (...) without unit. A silent reference scores fullness 100 and bleedless about 1,
        a silent estimate the reverse; both silent, 100 twice. Beyond blocks of frames it keeps the
        mel bands: half as many values as its inputs hold.

    Raises:
        ValueError: if the shapes differ, there is no sample, or the rate is another one.

    Source: the bleed_full metrics of ZFTurbo's Music-Source-Separation-Training.
    """
    check_shapes(reference, estimate)
    if sample_rate != SAMPLE_RATE:
        raise ValueError(
            f"the audio is at {sample_rate} Hz, bleedless and fullness are defined at "
            f"{SAMPLE_RATE} Hz: resample it first"
        )
    totals = reference.new_zeros(2, *reference.shape[:-2])
    counts = torch.zeros_like(totals, dtype=torch.int64)
    for r, e in zip(_levels(reference), _levels(estimate), strict=True):
        difference = torch.stack([e - r, r - e])  # what is too much, what is missing
        totals = totals + difference.clamp(min=0.0).sum(dim=(-3, -2, -1))
        counts = counts + (difference > 0).sum(dim=(-3, -2, -1))
    return BleedFull(*(100.0 / (1.0 + totals / counts.clamp(min=1))))


def _levels(signal: Tensor) -> list[Tensor]:
    """(..., channel, sample) -> blocks of (..., channel, band, frame) dB, 80 dB at most apart."""
    filters = mel_filters().to(signal)
    groups = [(span, filters[rows, span]) for rows, span in _groups()]
    window = torch.hann_window(N_FFT, dtype=signal.dtype, device=signal.device)
    blocks = []
    for magnitudes in magnitude_blocks(signal, window=window, hop=HOP, padding="zeros"):
        bands = [part @ magnitudes[..., span, :] for span, part in groups]
        blocks.append(20.0 * torch.log10(torch.cat(bands, dim=-2).clamp(min=SMALLEST)))
    top = torch.stack([block.amax(dim=(-3, -2, -1)) for block in blocks]).amax(dim=0)
    return [block.maximum(top[..., None, None, None] - RANGE_DB) for block in blocks]


@functools.cache
def _groups() -> list[tuple[slice, slice]]:
    """Bands in groups of neighbours, and the bins a group spans: the other weights are 0."""
    groups = []
    for first in range(0, BANDS, NEIGHBOURS):
        rows = slice(first, first + NEIGHBOURS)
        held = mel_filters()[rows].any(dim=0).nonzero()
        groups.append((rows, slice(int(held[0]), int(held[-1]) + 1)))
    return groups


@functools.cache
def mel_filters() -> Tensor:
    """(band, bin) float64 weights: 512 triangles, evenly spaced in mel from 0 to 22,050 Hz.

    Each has the area 1 over Hz; bins being 10.8 Hz apart, the lowest triangles hold one or two.

    Source: Slaney 1998, Auditory Toolbox: mel linear below 1 kHz, logarithmic above.
    """
    top = mel_of_hz(SAMPLE_RATE / 2)
    edges = torch.tensor(
        [hz_of_mel(top * edge / (BANDS + 1)) for edge in range(BANDS + 2)], dtype=torch.float64
    )
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = torch.arange(N_FFT // 2 + 1, dtype=torch.float64) * SAMPLE_RATE / N_FFT
    rise, fall = (bins - low) / (centre - low), (high - bins) / (high - centre)
    return torch.minimum(rise, fall).clamp(min=0.0) * 2.0 / (high - low)


def mel_of_hz(hz: float) -> float:
    """Slaney's scale: 15 mel per kHz up to 1 kHz, then 27 mel for a factor of 6.4."""
    return 0.015 * hz if hz < 1000.0 else 15.0 + 27.0 * math.log(hz / 1000.0, 6.4)


def hz_of_mel(mel: float) -> float:
    """The inverse of `mel_of_hz`."""
    return mel / 0.015 if mel < 15.0 else float(1000.0 * 6.4 ** ((mel - 15.0) / 27.0))
