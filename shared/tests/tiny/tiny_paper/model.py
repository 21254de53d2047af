"""A mask from two convolutions: enough of a separator to train in a second."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class TinyMask(nn.Module):
    """A mask per stem and sample from the waveform, with dropout between two convolutions.

    Args:
        stems: names of the estimates.
        sample_rate: Hz.
        channels: of mixture and stems.
        width: features between the convolutions.
        kernel: taps of both, an odd number.
        dropout: share of the features dropped in training.
        batch_norm: normalise the features over the batch.
    """

    def __init__(
        self,
        *,
        stems: Sequence[str],
        sample_rate: int,
        channels: int,
        width: int,
        kernel: int,
        dropout: float,
        batch_norm: bool,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"kernel is {kernel}: choose an odd number of taps")
        self.stems = tuple(stems)
        self.sample_rate = sample_rate
        self.channels = channels
        self.encode = nn.Conv1d(channels, width, kernel, padding=kernel // 2)
        self.norm = nn.BatchNorm1d(width) if batch_norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.activation_checkpointing = False
        self.mask = nn.Conv1d(width, len(self.stems) * channels, kernel, padding=kernel // 2)

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample)."""
        features = self.dropout(torch.tanh(self.norm(self.encode(mixture))))
        if self.activation_checkpointing and self.training:
            masks: Tensor = checkpoint(self.masks, features, use_reentrant=False)
        else:
            masks = self.masks(features)
        return masks * mixture[:, None]

    def masks(self, features: Tensor) -> Tensor:
        """(batch, width, sample) -> (batch, stem, channel, sample)."""
        masks = rearrange(self.mask(features), "b (s c) n -> b s c n", c=self.channels)
        return masks.sigmoid()
