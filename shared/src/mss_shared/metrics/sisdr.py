"""Scale-invariant signal-to-distortion ratio: one definition, and two named variants.

This repository reports `si_sdr`. The variants serve to compare with published numbers; on ordinary
stems the three differ in the third decimal, on silent ones widely.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from math import prod
from typing import Any

import numpy as np

from mss_shared.metrics.arrays import Signal, check_shapes, get_array_functions

__all__ = ["si_sdr", "si_sdr_keeping_mean", "si_sdr_of_blocks", "si_sdr_per_channel"]

Blocks = Callable[[], Iterable[tuple[Signal, Signal]]]


def si_sdr(reference: Signal, estimate: Signal, *, eps: float = 1e-8) -> Signal:
    """SDR after the best scaling of the reference, in dB; higher is better. Differentiable.

    All channels together are one signal, whose mean is removed first.

    Args:
        reference: (..., channel, sample) true stem.
        estimate: (..., channel, sample) separated stem.
        eps: added to the reference's energy and to both energies of the ratio.

    Returns:
        (...) dB; unchanged when the estimate is scaled, up to eps. A silent reference scores far
        below zero.

    Raises:
        ValueError: if the shapes differ.

    Source: Le Roux et al. 2019, eq. 5.
    """
    check_shapes(reference, estimate)
    return si_sdr_of_blocks(lambda: [(reference, estimate)], eps=eps)


def si_sdr_of_blocks(blocks: Blocks[Signal], *, eps: float = 1e-8) -> Signal:
    """`si_sdr` of songs that are not in memory.

    Args:
        blocks: () -> references and estimates, each (..., channel, sample), block by block; called
            three times, for the means, the products and the energies.
        eps: as in `si_sdr`.

    Returns:
        As `si_sdr`.
    """
    means = _means(blocks)
    inner: Any = 0.0
    norm: Any = 0.0
    for reference, estimate in _centred(blocks, means):
        inner, norm = inner + _sum(estimate * reference), norm + _sum(reference**2)
    scale = inner / (norm + eps)
    energy: Any = 0.0
    error: Any = 0.0
    for reference, estimate in _centred(blocks, means):
        target = scale * reference
        energy, error = energy + _sum(target**2), error + _sum((estimate - target) ** 2)
    xp = get_array_functions(energy)
    ratio: Signal = 10.0 * xp.log10((energy + eps) / (error + eps))[..., 0, 0]
    return ratio


def _means(blocks: Blocks[Any]) -> tuple[Any, Any]:
    """(..., 1, 1) of the references, and of the estimates."""
    totals: Any = (0.0, 0.0)
    count = 0
    for pair in blocks():
        totals = tuple(total + _sum(signal) for total, signal in zip(totals, pair, strict=True))
        count += prod(pair[0].shape[-2:])
    return totals[0] / count, totals[1] / count


def _centred(blocks: Blocks[Any], means: tuple[Any, Any]) -> Iterable[tuple[Any, Any]]:
    return ((reference - means[0], estimate - means[1]) for reference, estimate in blocks())


def _sum(signal: Any) -> Any:
    """(..., channel, sample) -> (..., 1, 1)."""
    return get_array_functions(signal).sum(signal, axis=(-2, -1), keepdims=True)


def si_sdr_keeping_mean(reference: Signal, estimate: Signal) -> Signal:
    """SI-SDR as ZFTurbo's framework computes it, in dB; higher is better. Differentiable.

    All channels together are one signal. Unlike `si_sdr`, this keeps the mean, and in both sums of
    the scale it adds 1e-8 per sample, not once, so that the constant grows with length.

    Args:
        reference: (..., channel, sample) true stem.
        estimate: (..., channel, sample) separated stem.

    Returns:
        (...) dB, at least -80, the score of a silent reference; the score of a silent estimate
        depends on the constants alone.

    Raises:
        ValueError: if the shapes differ.

    Source: the si_sdr of ZFTurbo's Music-Source-Separation-Training.
    """
    check_shapes(reference, estimate)
    xp, eps, whole = get_array_functions(reference), 1e-8, (-2, -1)
    inner = xp.sum(estimate * reference + eps, axis=whole, keepdims=True)
    target = inner / xp.sum(reference**2 + eps, axis=whole, keepdims=True) * reference
    energy = xp.sum(target**2, axis=whole)
    error = xp.sum((target - estimate) ** 2, axis=whole) + eps
    ratio: Signal = 10.0 * xp.log10(energy / error + eps)
    return ratio


def si_sdr_per_channel(
    reference: Signal, estimate: Signal, *, zero_mean: bool = True, clamp_db: float = math.inf
) -> Signal:
    """SI-SDR of each channel separately, in dB; higher is better.

    Differentiable under a finite clamp_db; a clamped value has a gradient of 0.

    Args:
        reference: (..., channel, sample) true stem.
        estimate: (..., channel, sample) separated stem.
        zero_mean: remove the mean of every channel first.
        clamp_db: scores are clamped to -clamp_db ... clamp_db.

    Returns:
        (..., channel) dB. There are no constants: a silent reference or estimate scores -clamp_db,
        a perfect estimate clamp_db, or whatever rounding leaves, above 120 dB in float64.

    Raises:
        ValueError: if the shapes differ or clamp_db is not positive.

    Source: the si_sdr of fast_bss_eval (Scheibler 2022), as ESPnet and TUSS use it.
    """
    check_shapes(reference, estimate)
    if not clamp_db > 0:
        raise ValueError(f"scores are to be clamped at {clamp_db} dB: clamp_db must be above 0")
    xp = get_array_functions(reference)
    if zero_mean:
        reference = reference - xp.mean(reference, axis=-1, keepdims=True)
        estimate = estimate - xp.mean(estimate, axis=-1, keepdims=True)
    norm = xp.sum(reference**2, axis=-1, keepdims=True)
    scale = xp.sum(estimate * reference, axis=-1, keepdims=True) / (norm + (norm == 0))
    target = scale * reference
    energy = xp.sum(target**2, axis=-1)
    error = xp.sum((estimate - target) ** 2, axis=-1)
    ratio: Signal = _clamped_ratio(energy, error, clamp_db)
    return ratio


def _clamped_ratio(energy: Signal, error: Signal, clamp_db: float) -> Signal:
    """Energy over error in dB, clamped to +-clamp_db; if both are 0, it counts as error alone.

    Shares of the sum are used, as the plain ratio may overflow and give gradients of NaN.
    """
    xp = get_array_functions(energy)
    silent = xp.astype(energy + error == 0, energy.dtype)
    whole = energy + error + silent
    least = 1 / (1 + 10 ** (clamp_db / 10))
    good = xp.clip(energy / whole, least, 1 - least)
    bad = xp.clip((error + silent) / whole, least, 1 - least)
    with np.errstate(divide="ignore"):
        ratio: Signal = 10.0 * xp.log10(good / bad)
    return ratio
