"""Models whose estimates are known: closed forms of their input, at 1000 Hz."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mss_shared.recipe_sections import InferenceConfig

RATE = 1_000
WHOLE = InferenceConfig(0.0, 0.0, 0.0, "flat", "none")
CHUNKS = InferenceConfig(0.1, 0.5, 0.0, "triangle", "none")


class Through(nn.Module):
    """Returns its input as the first stem and its negative half as the second."""

    def __init__(self, channels: int = 2, sample_rate: int = RATE) -> None:
        super().__init__()
        self.stems = ("vocals", "drums")
        self.sample_rate = sample_rate
        self.channels = channels
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, mixture: Tensor) -> Tensor:
        return self.gain * torch.stack([mixture, -0.5 * mixture], dim=1)


class Uneven(Through):
    """Three stems that have little to do with each other and lack much of the mixture."""

    def __init__(self, channels: int = 2, sample_rate: int = RATE) -> None:
        super().__init__(channels, sample_rate)
        self.stems = ("vocals", "drums", "other")

    def forward(self, mixture: Tensor) -> Tensor:
        stems = [0.9 * mixture, 0.3 * mixture.roll(1, -1), -0.4 * mixture.abs()]
        return self.gain * torch.stack(stems, dim=1)


class OneStem(Through):
    """Half of its input, as the only stem."""

    def __init__(self, channels: int = 2, sample_rate: int = RATE) -> None:
        super().__init__(channels, sample_rate)
        self.stems = ("vocals",)

    def forward(self, mixture: Tensor) -> Tensor:
        return 0.5 * self.gain * mixture[:, None]
