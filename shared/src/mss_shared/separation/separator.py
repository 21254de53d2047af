"""The interface of every model, and models made of other models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mss_shared.first_calls import make_first_calls
from mss_shared.separation.permutation import align_stems

make_first_calls()  # before a window is computed


class Separator(Protocol):
    """The interface of every model."""

    stems: tuple[str, ...]
    sample_rate: int
    channels: int

    def __call__(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) float32 -> (batch, stem, channel, sample), any length."""


def get_device(model: Separator) -> torch.device:
    """The device of a model's weights; the CPU if it has none."""
    parameter = next(model.parameters(), None) if isinstance(model, torch.nn.Module) else None
    return torch.device("cpu") if parameter is None else parameter.device


def interchangeable(model: Any) -> bool:
    """Whether a model's stems are interchangeable (permutation-invariant outputs).

    Their names then carry no meaning. `Paper.build_model` sets the attribute.
    """
    return bool(getattr(model, "interchangeable", False))


class Wrapped(nn.Module):
    """A model around another one, with the same stems, sample rate and channels."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.stems = tuple(model.stems)
        self.sample_rate: int = model.sample_rate
        self.channels: int = model.channels
        self.interchangeable = interchangeable(model)

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample)."""
        estimates: Tensor = self.model(mixture)
        return estimates

    def aligned(self, passes: Sequence[Tensor]) -> list[Tensor]:
        """The passes; interchangeable stems are reordered to match the first pass."""
        if not self.interchangeable:
            return [*passes]
        return [passes[0], *(align_stems(other, passes[0]) for other in passes[1:])]


class StemsTogether(nn.Module):
    """Models of different stems as one: their estimates, concatenated along the stem axis."""

    def __init__(self, models: Sequence[Any]) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)
        self.stems = tuple(stem for model in models for stem in model.stems)
        self.sample_rate: int = models[0].sample_rate
        self.channels: int = models[0].channels
        self.interchangeable = any(interchangeable(model) for model in models)
        if len(set(self.stems)) < len(self.stems):
            raise ValueError(
                f"the checkpoints give {', '.join(self.stems)}: give one checkpoint per stem"
            )
        if any((m.sample_rate, m.channels) != (self.sample_rate, self.channels) for m in models):
            raise ValueError(
                "the checkpoints differ in sample rate or channels: give checkpoints that agree"
            )

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample)."""
        return torch.cat([model(mixture) for model in self.models], dim=1)


def stems_together(models: Sequence[Any]) -> Any:
    """One model for all stems: the only one, or all side by side, in evaluation mode.

    Raises:
        ValueError: if two models have the same stem, or they differ in rate or channels.
    """
    return models[0] if len(models) == 1 else StemsTogether(models).eval()
