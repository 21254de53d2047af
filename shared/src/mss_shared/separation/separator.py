"""What every model is to the rest, and models made of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mss_shared.separation.permutation import in_order_of


class Separator(Protocol):
    """The border every model keeps."""

    stems: tuple[str, ...]
    sample_rate: int
    channels: int

    def __call__(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) float32 -> (batch, stem, channel, sample), any length."""


def device_of(model: Separator) -> torch.device:
    """Where a model takes its audio: with its weights, on the CPU if it has none."""
    parameter = next(model.parameters(), None) if isinstance(model, torch.nn.Module) else None
    return torch.device("cpu") if parameter is None else parameter.device


def interchangeable(model: Any) -> bool:
    """Whether the names of a model's stems mean nothing; `Paper.build_model` says so of it."""
    return bool(getattr(model, "interchangeable", False))


class Wrapped(nn.Module):
    """A model around another one that keeps its stems, rate and channels."""

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
        """Passes in the order of the first one's stems, if stems have none of their own."""
        if not self.interchangeable:
            return [*passes]
        return [passes[0], *(in_order_of(one, passes[0]) for one in passes[1:])]


class StemsTogether(nn.Module):
    """Models of different stems as one: estimates are concatenated along the stem axis."""

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
            raise ValueError("the checkpoints differ in sample rate or channels: use one kind")

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample)."""
        return torch.cat([model(mixture) for model in self.models], dim=1)


def stems_together(models: Sequence[Any]) -> Any:
    """One model for all stems: the only one, or all side by side, in evaluation mode.

    Raises:
        ValueError: if two models have the same stem, or they differ in rate or channels.
    """
    return models[0] if len(models) == 1 else StemsTogether(models).eval()
