"""Stems without an order of their own, such as speakers: the same one in the same place everywhere.

A model trained by a permutation-invariant loss gives its estimates in any order, another one for
each input. What is averaged or joined, channels, chunks, passes, is brought into one order before.
"""

from __future__ import annotations

from itertools import permutations

import torch
from torch import Tensor


def in_order_of(estimates: Tensor, like: Tensor) -> Tensor:
    """(batch, stem, channel, sample) estimates in the order that `best_order` finds."""
    best = best_order(estimates, like)
    return estimates.gather(1, best[:, :, None, None].expand_as(estimates))


def best_order(estimates: Tensor, like: Tensor) -> Tensor:
    """The order in which estimates are most like others of the same sound.

    Args:
        estimates: (batch, stem, channel, sample).
        like: of the same shape, in the order wanted.

    Returns:
        (batch, stem) which estimate belongs in each place: of all orders, item by item, that of the
        greatest sum of magnitudes of correlations; the one there was where several are equal.
    """
    likeness = _correlations(estimates, like)
    orders = torch.tensor([*permutations(range(estimates.shape[1]))], device=estimates.device)
    places = torch.arange(estimates.shape[1], device=estimates.device)
    totals = likeness[:, orders, places].sum(dim=-1)  # (batch, order)
    return orders[totals.argmax(dim=1)]


def _correlations(first: Tensor, second: Tensor) -> Tensor:
    """(batch, stem, stem) magnitudes, channels taken together; 0 where one is silent."""
    a, b = (signal.flatten(2).double() for signal in (first, second))
    inner = a @ b.transpose(1, 2)
    levels = (
        torch.linalg.vector_norm(a, dim=2)[:, :, None] * torch.linalg.vector_norm(b, dim=2)[:, None]
    )
    found: Tensor = inner.abs() / levels.clamp_min(torch.finfo(torch.float64).tiny)
    return found
