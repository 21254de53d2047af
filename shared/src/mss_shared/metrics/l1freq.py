"""L1Freq: how close magnitude spectrograms are, on a scale from 0 to 100."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from mss_shared.metrics.arrays import Signal, check_shapes, get_array_functions, like
from mss_shared.metrics.stft import magnitude_blocks

__all__ = ["l1_freq"]

N_FFT = 2048
HOP = 1024


def l1_freq(reference: Signal, estimate: Signal) -> Signal:
    """Closeness of magnitudes, from 0 to 100; higher is better. Differentiable.

    100 / (1 + 10 * m), where m is the mean of ``||E| - |R||`` over channels, bins and frames of
    STFTs with n_fft 2048, hop 1024, a rectangular window and reflect padding, whatever the sample
    rate. Unlike the ratios it depends on level: at equal SDR, louder stems score lower.

    Args:
        reference: (..., channel, sample) true stem, full scale 1.0.
        estimate: (..., channel, sample) separated stem.

    Returns:
        (...) without unit; 100 means equal magnitudes. Beside a silent reference, only the
        estimate's magnitudes count: 100 if it is silent, too. Without gradients, memory does not
        grow with length.

    Raises:
        ValueError: if the shapes differ or there are fewer than 1025 samples.

    Source: the L1Freq metric of ZFTurbo's Music-Source-Separation-Training.
    """
    check_shapes(reference, estimate)
    xp, window = get_array_functions(reference), like(np.ones(N_FFT), reference)
    total: Any = 0.0
    count = 0
    for r, e in zip(
        magnitude_blocks(reference, window=window, hop=HOP, padding="reflect"),
        magnitude_blocks(estimate, window=window, hop=HOP, padding="reflect"),
        strict=True,
    ):
        total = total + xp.sum(xp.abs(e - r), axis=(-3, -2, -1))
        count += prod(r.shape[-3:])
    score: Signal = 100.0 / (1.0 + 10.0 * total / count)
    return score
