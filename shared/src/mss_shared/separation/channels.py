"""Songs of any number of channels through models of one or two."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mss_shared.separation.permutation import in_order_of
from mss_shared.separation.separator import interchangeable


def channel_groups(channels: int, of_model: int) -> list[tuple[int, ...]]:
    """Which of a song's channels go through the model together: as many as it takes, in order.

    Args:
        channels: of the song.
        of_model: of the model.

    Returns:
        Tuples of channel numbers, each ``of_model`` long or, the last one, shorter.
    """
    return [
        tuple(range(first, min(first + of_model, channels)))
        for first in range(0, channels, of_model)
    ]


def to_model(mixture: Tensor, of_model: int) -> Tensor:
    """(..., channel, sample) -> (..., group, model channel, sample); a lone channel is repeated.

    A group that is short of channels repeats its last one.
    """
    groups = channel_groups(mixture.shape[-2], of_model)
    picked = [group + (group[-1],) * (of_model - len(group)) for group in groups]
    return torch.stack([mixture[..., list(group), :] for group in picked], dim=-3)


class AnyChannels(nn.Module):
    """A model for songs of other channels than its own, group after group of them.

    Repeated channels come back as the mean of their estimates. Stems without an order of their own
    keep that of the first group.
    """

    def __init__(self, model: Any, channels: int) -> None:
        super().__init__()
        self.model = model
        self.stems: tuple[str, ...] = model.stems
        self.sample_rate: int = model.sample_rate
        self.channels = channels
        self.interchangeable = interchangeable(model)

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample)."""
        of_model = self.model.channels
        grouped = to_model(mixture, of_model)  # (batch, group, model channel, sample)
        groups = channel_groups(self.channels, of_model)
        estimates = [self.model(grouped[:, number]) for number in range(len(groups))]
        if self.interchangeable:
            estimates = [in_order_of(estimate, estimates[0]) for estimate in estimates]
        parts = []
        for group, estimate in zip(groups, estimates, strict=True):
            last = len(group) - 1
            repeated = estimate[:, :, last:].mean(dim=2, keepdim=True)
            parts.append(torch.cat([estimate[:, :, :last], repeated], dim=2))
        return torch.cat(parts, dim=2)
