"""Songs with any number of channels through mono or stereo models."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mss_shared.separation.permutation import align_stems
from mss_shared.separation.separator import interchangeable


def channel_groups(channels: int, of_model: int) -> list[tuple[int, ...]]:
    """Split a song's channels, in order, into groups that the model processes together.

    Args:
        channels: of the song.
        of_model: of the model.

    Returns:
        Tuples of ``of_model`` channel indices; the last one may be shorter.
    """
    return [
        tuple(range(first, min(first + of_model, channels)))
        for first in range(0, channels, of_model)
    ]


def to_model(mixture: Tensor, of_model: int) -> Tensor:
    """(..., channel, sample) -> (..., group, model channel, sample); short groups are filled up.

    They repeat their last channel.
    """
    groups = channel_groups(mixture.shape[-2], of_model)
    picked = [group + (group[-1],) * (of_model - len(group)) for group in groups]
    return torch.stack([mixture[..., list(group), :] for group in picked], dim=-3)


class AnyChannels(nn.Module):
    """A model for songs with another channel count than its own: processes groups of channels.

    The estimates of a repeated channel are averaged. Interchangeable stems follow the order of the
    first group.
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
        estimates = [self.model(grouped[:, index]) for index in range(len(groups))]
        if self.interchangeable:
            estimates = [align_stems(estimate, estimates[0]) for estimate in estimates]
        parts = []
        for group, estimate in zip(groups, estimates, strict=True):
            last = len(group) - 1
            repeated = estimate[:, :, last:].mean(dim=2, keepdim=True)
            parts.append(torch.cat([estimate[:, :, :last], repeated], dim=2))
        return torch.cat(parts, dim=2)
