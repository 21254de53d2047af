"""The typed shape of the recipes; the values are in ``recipes/*.yaml``."""

from __future__ import annotations

from dataclasses import dataclass

from lasaft.config import ModelConfig
from mss_shared.recipe_sections import BaseRecipe, DataConfig, LoopConfig


@dataclass(frozen=True)
class TrainingConfig(LoopConfig):
    """Losses, optimizer and schedule.

    Args:
        min_epochs: early stopping waits at least so long.
        train_loss, val_loss: names of ``lasaft.losses``.
        raw_weight, spec_weight: of the two parts of the loss ``raw_and_spec``.
        optimizer: ``adam``, ``adamw``, ``rmsprop`` or ``sgd``, with torch's defaults.
        lr: its learning rate.
        schedule: ``none``, ``plateau`` of the validation loss, or ``cosine`` to zero.
        plateau_factor: the learning rate's factor on a plateau.
        plateau_patience: epochs without gain that make a plateau.
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
    """One row of a table, complete.

    Args:
        reproduces: the claimed row in ``results/papers.csv``, or null.
        data: how examples are drawn; 0 examples per epoch stand for as many windows as the
            tracks hold, once for every stem.
        model: network, transform, windows.
        training: losses, optimizer, schedule, loop.
        inference: 0.0 s: the model cuts a song into windows itself.
        evaluation: protocols.
    """
