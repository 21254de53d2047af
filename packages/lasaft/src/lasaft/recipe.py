"""The typed shape of the recipes; the values are in ``recipes/*.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from lasaft.config import ModelConfig
from mss_shared.recipe_sections import BaseRecipe, DataConfig, LoopConfig


@dataclass(frozen=True)
class TrainingConfig(LoopConfig):
    """Losses, optimizer and schedule.

    Args:
        min_epochs: epochs before early stopping may act.
        train_loss, val_loss: names from ``lasaft.losses.NAMES``.
        raw_weight, spec_weight: weights of the two parts of the loss ``raw_and_spec``.
        optimizer: ``adam``, ``adamw``, ``rmsprop`` or ``sgd``, with torch's defaults.
        lr: its learning rate.
        schedule: ``none``, ``plateau`` (of the validation loss) or ``cosine`` (to zero).
        plateau_factor: what the learning rate is multiplied by on a plateau.
        plateau_patience: epochs without improvement that make a plateau.
    """

    min_epochs: int
    train_loss: str
    val_loss: str
    raw_weight: float
    spec_weight: float
    optimizer: str
    lr: float
    schedule: str
    plateau_factor: float
    plateau_patience: int


@dataclass(frozen=True)
class Recipe(BaseRecipe[DataConfig, ModelConfig, TrainingConfig]):
    """Everything that one row of a table needs.

    Args:
        reproduces: the claimed row in ``results/papers.csv``, or null.
        data: how examples are drawn; with 0 examples per epoch an epoch has one for every window
            of the tracks and every stem.
        model: network, transform and windows.
        training: losses, optimizer, schedule and loop.
        inference: how a song is cut into chunks; the model cuts these into windows itself.
        evaluation: protocols.
    """

    added: ClassVar[dict[str, Any]] = {"model.encoder_block": None}
