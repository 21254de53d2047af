"""Scale-invariant signal-to-distortion ratio."""

from __future__ import annotations

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
