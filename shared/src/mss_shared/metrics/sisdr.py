"""Scale-invariant signal-to-distortion ratio: one definition, and two variants by name.

`si_sdr` is the one this repository reports. The variants are there to compare with numbers of
others; the three differ in the third decimal on ordinary stems, and widely on silent ones.
"""

from __future__ import annotations

import math

import numpy as np

from mss_shared.metrics.arrays import Signal, check_shapes, functions_of


def si_sdr(reference: Signal, estimate: Signal, *, eps: float = 1e-8) -> Signal:
    """SDR after the best scaling of the reference, in dB; higher is better. Differentiable.

    Channels are taken together as one signal, and its mean is removed first.

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
    xp = functions_of(reference)
    whole = (-2, -1)
    reference = reference - xp.mean(reference, axis=whole, keepdims=True)
    estimate = estimate - xp.mean(estimate, axis=whole, keepdims=True)
    inner = xp.sum(estimate * reference, axis=whole, keepdims=True)
    target = inner / (xp.sum(reference**2, axis=whole, keepdims=True) + eps) * reference
    energy = xp.sum(target**2, axis=whole) + eps
    error = xp.sum((estimate - target) ** 2, axis=whole) + eps
    ratio: Signal = 10.0 * xp.log10(energy / error)
    return ratio


def si_sdr_keeping_mean(reference: Signal, estimate: Signal) -> Signal:
    """SI-SDR as ZFTurbo's framework computes it, in dB; higher is better. Differentiable.

    Channels are taken together as one signal. Unlike `si_sdr` it keeps the signals' means and
    adds 1e-8 for every sample, not once, inside both sums of the scale, which grows with length.

    Args:
        reference: (..., channel, sample) true stem.
        estimate: (..., channel, sample) separated stem.

    Returns:
        (...) dB, at least -80, which a silent reference scores; a silent estimate scores by the
        constants alone.

    Raises:
        ValueError: if the shapes differ.

    Source: the si_sdr of ZFTurbo's Music-Source-Separation-Training.
    """
    check_shapes(reference, estimate)
    xp, eps, whole = functions_of(reference), 1e-8, (-2, -1)
    inner = xp.sum(estimate * reference + eps, axis=whole, keepdims=True)
    target = inner / xp.sum(reference**2 + eps, axis=whole, keepdims=True) * reference
    energy = xp.sum(target**2, axis=whole)
    error = xp.sum((target - estimate) ** 2, axis=whole) + eps
    ratio: Signal = 10.0 * xp.log10(energy / error + eps)
    return ratio


def si_sdr_per_channel(
    reference: Signal, estimate: Signal, *, zero_mean: bool = True, clamp_db: float = math.inf
) -> Signal:
    """SI-SDR of every channel by itself, in dB; higher is better.

    Differentiable under a finite clamp_db; a clamped value has a gradient of 0.

    Args:
        reference: (..., channel, sample) true stem.
        estimate: (..., channel, sample) separated stem.
        zero_mean: remove the mean of every channel first.
        clamp_db: scores are held between -clamp_db and clamp_db.

    Returns:
        (..., channel) dB. Without constants: a silent reference or estimate scores -clamp_db, a
        perfect estimate clamp_db, or what rounding leaves, above 120 dB in float64.

    Raises:
        ValueError: if the shapes differ or clamp_db is not positive.

    Source: the si_sdr of fast_bss_eval (Scheibler 2022), as ESPnet and TUSS use it.
    """
    check_shapes(reference, estimate)
    if not clamp_db > 0:
        raise ValueError(f"scores are to be clamped at {clamp_db} dB: clamp_db must be above 0")
    xp = functions_of(reference)
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
    """dB of energy over error within +-clamp_db; nothing at all counts as error alone.

    Shares of the sum, unlike the ratio itself, neither overflow nor spoil gradients.
    """
    xp = functions_of(energy)
    silent = xp.astype(energy + error == 0, energy.dtype)
    whole = energy + error + silent
    least = 1 / (1 + 10 ** (clamp_db / 10))
    good = xp.clip(energy / whole, least, 1 - least)
    bad = xp.clip((error + silent) / whole, least, 1 - least)
    with np.errstate(divide="ignore"):
        ratio: Signal = 10.0 * xp.log10(good / bad)
    return ratio
