"""Scale-invariant signal-to-distortion ratio: one definition, and two variants by name.

`si_sdr` is the one this repository reports. The variants are there to compare with numbers of
others; the three differ in the third decimal on ordinary stems, and widely on silent ones.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mss_shared.metrics.sdr import check_shapes


def si_sdr(reference: Tensor, estimate: Tensor, *, eps: float = 1e-8) -> Tensor:
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
    reference = reference.flatten(-2)
    estimate = estimate.flatten(-2)
    reference = reference - reference.mean(dim=-1, keepdim=True)
    estimate = estimate - estimate.mean(dim=-1, keepdim=True)
    inner = (estimate * reference).sum(dim=-1, keepdim=True)
    target = inner / (reference.square().sum(dim=-1, keepdim=True) + eps) * reference
    energy = target.square().sum(dim=-1) + eps
    error = (estimate - target).square().sum(dim=-1) + eps
    return 10.0 * torch.log10(energy / error)


def si_sdr_keeping_mean(reference: Tensor, estimate: Tensor) -> Tensor:
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
    eps = 1e-8
    inner = (estimate * reference + eps).sum(dim=(-2, -1), keepdim=True)
    target = inner / (reference.square() + eps).sum(dim=(-2, -1), keepdim=True) * reference
    energy = target.square().sum(dim=(-2, -1))
    error = (target - estimate).square().sum(dim=(-2, -1)) + eps
    return 10.0 * torch.log10(energy / error + eps)


def si_sdr_per_channel(
    reference: Tensor, estimate: Tensor, *, zero_mean: bool = True, clamp_db: float = math.inf
) -> Tensor:
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
    if zero_mean:
        reference = reference - reference.mean(dim=-1, keepdim=True)
        estimate = estimate - estimate.mean(dim=-1, keepdim=True)
    norm = reference.square().sum(dim=-1, keepdim=True)
    scale = (estimate * reference).sum(dim=-1, keepdim=True) / (norm + (norm == 0))
    target = scale * reference
    energy = target.square().sum(dim=-1)
    error = (estimate - target).square().sum(dim=-1)
    return _clamped_ratio(energy, error, clamp_db)


def _clamped_ratio(energy: Tensor, error: Tensor, clamp_db: float) -> Tensor:
    """dB of energy over error within +-clamp_db; nothing at all counts as error alone.

    Shares of the sum, unlike the ratio itself, neither overflow nor spoil gradients.
    """
    silent = (energy + error == 0).to(energy.dtype)
    whole = energy + error + silent
    least = 1 / (1 + 10 ** (clamp_db / 10))
    good = (energy / whole).clamp(least, 1 - least)
    bad = ((error + silent) / whole).clamp(least, 1 - least)
    return 10.0 * torch.log10(good / bad)
