"""The typed shape of the recipes; the values are in ``recipes/*.yaml``."""

from __future__ import annotations

from dataclasses import dataclass

from mss_shared.recipe_sections import BaseRecipe, DataConfig, LoopConfig


@dataclass(frozen=True)
class ModelConfig:
    """The keyword arguments of ``TinyMask``."""

    stems: tuple[str, ...]
    sample_rate: int
    channels: int
    width: int
    kernel: int
    dropout: float
    batch_norm: bool


@dataclass(frozen=True)
class TrainingConfig(LoopConfig):
    """Adam and its plateau.

    Args:
        lr: Adam's learning rate.
        plateau_factor: the learning rate's factor on a plateau of the validation loss.
        plateau_patience: epochs without gain that make a plateau.
    """

    lr: float
    plateau_factor: float
    plateau_patience: int


@dataclass(frozen=True)
class Recipe(BaseRecipe[DataConfig, ModelConfig, TrainingConfig]):
    """One row of a table, complete."""
