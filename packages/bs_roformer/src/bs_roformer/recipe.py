"""The typed shape of the recipes; the values are in ``recipes/*.yaml``."""

from __future__ import annotations

from dataclasses import dataclass

from bs_roformer.config import ModelConfig
from mss_shared import recipe_sections
from mss_shared.recipe_sections import BaseRecipe, LoopConfig, PoolConfig
from mss_shared.training.augmentation import EffectsConfig, Range


@dataclass(frozen=True)
class DataConfig(recipe_sections.DataConfig):
    """How training examples are drawn: what all papers have, and a pool, decibels, effects.

    Args:
        gain_range_db: least and greatest gain in dB, drawn evenly in dB per stem.
        pool: the pool that stems are drawn from, or null to draw every excerpt anew.
        effects: what else is done to stems, or null.
    """

    gain_range_db: Range
    pool: PoolConfig | None
    effects: EffectsConfig | None


@dataclass(frozen=True)
class TrainingConfig(LoopConfig):
    """Optimizer and schedule; the loss belongs to the model's arguments.

    Args:
        lr: AdamW's learning rate.
        weight_decay: AdamW's decoupled weight decay; 0.0 makes it Adam.
        schedule: ``step``, ``plateau`` of the validation loss, or ``cosine`` to zero.
        lr_factor: the learning rate's factor at a step or a plateau.
        decay_steps: optimizer steps between two factors.
        plateau_patience: epochs without gain that make a plateau.
        activation_checkpointing: compute the blocks anew in the backward pass to save memory.
    """

    lr: float
    weight_decay: float
    schedule: str
    lr_factor: float
    decay_steps: int
    plateau_patience: int
    activation_checkpointing: bool


@dataclass(frozen=True)
class Recipe(BaseRecipe[DataConfig, ModelConfig, TrainingConfig]):
    """One row of a table, complete.

    Args:
        reproduces: the claimed row in ``results/papers.csv``, or null.
        data: how examples are drawn.
        model: the keyword arguments of ``BSRoformer`` or ``MelBandRoformer``, and which of them.
        training: optimizer, schedule, loop.
        inference: chunks and overlap.
        evaluation: protocols.
    """
