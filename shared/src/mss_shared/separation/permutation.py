"""Interchangeable stems (permutation-invariant outputs), such as speakers, in a consistent order.

A model trained with a permutation-invariant loss may return its stems in a different order for
every input. Before channels, chunks or passes are joined or averaged, their stems are reordered to
match.
"""

from __future__ import annotations

from itertools import permutations

import torch
from torch import Tensor


def align_stems(estimates: Tensor, like: Tensor) -> Tensor:
    """(batch, stem, channel, sample) estimates, reordered by `best_order`."""
    best = best_order(estimates, like)
    return estimates.gather(1, best[:, :, None, None].expand_as(estimates))


def best_order(estimates: Tensor, like: Tensor) -> Tensor:
    """Find the order in which estimates best match other estimates of the same audio.

    Args:
        estimates: (batch, stem, channel, sample).
        like: of the same shape, in the wanted order.

    Returns:
        (batch, stem) index of the estimate for each position: the permutation with the largest sum
        of absolute correlations, separately for each item; the present order if it is among the
        best.
    """
    correlations = _correlations(estimates, like)
    orders = torch.tensor([*permutations(range(estimates.shape[1]))], device=estimates.device)
    positions = torch.arange(estimates.shape[1], device=estimates.device)
    totals = correlations[:, orders, positions].sum(dim=-1)  # (batch, order)
    return orders[totals.argmax(dim=1)]  # the first permutation is the identity: it wins ties


def _correlations(first: Tensor, second: Tensor) -> Tensor:
    """(batch, stem, stem) absolute values, over all channels together; 0 where one is silent."""
    a, b = (signal.flatten(2).double() for signal in (first, second))
    inner = a @ b.transpose(1, 2)
    levels = (
        torch.linalg.vector_norm(a, dim=2)[:, :, None] * torch.linalg.vector_norm(b, dim=2)[:, None]
    )
    correlations: Tensor = inner.abs() / levels.clamp_min(torch.finfo(torch.float64).tiny)
    return correlations
