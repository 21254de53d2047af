"""The typed shape of the recipes; the values are in ``recipes/*.yaml``."""

from __future__ import annotations

from dataclasses import dataclass

from bs_roformer.config import ModelConfig
from mss_shared import recipe_sections
from mss_shared.recipe_sections import BaseRecipe, EffectsConfig, LoopConfig, PoolConfig, Range


@dataclass(frozen=True)
class DataConfig(recipe_sections.DataConfig):
    """How training examples are drawn: the fields of all papers, and gains, a pool, effects.

    Args:
        gain_range_db: smallest and largest gain in dB, drawn uniformly in dB per stem.
        pool: the pool that stems are drawn from, or null to draw every excerpt from the songs.
        effects: further augmentation of stems, or null.
    """

    gain_range_db: Range
    pool: PoolConfig | None
    effects: EffectsConfig | None


@dataclass(frozen=True)
class TrainingConfig(LoopConfig):
    """Optimizer and schedule; the settings of the loss are in the model section.

    Args:
        lr: AdamW's learning rate.
        weight_decay: AdamW's decoupled weight decay; 0.0 makes it Adam.
        schedule: ``step``, ``plateau`` of the validation loss, or ``cosine`` to zero.
        lr_factor: what the learning rate is multiplied by at a step or plateau.
        decay_steps: optimizer steps from one decay to the next.
        plateau_patience: epochs without improvement that count as a plateau.
        activation_checkpointing: recompute the blocks in the backward pass to save memory.
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
    """Everything that one row of a table needs.

    Args:
        reproduces: the row in ``results/papers.csv`` with the paper's score, or null.
        data: how examples are drawn.
        model: which of ``BSRoformer`` and ``MelBandRoformer``, and its keyword arguments.
        training: optimizer, schedule, loop.
        inference: chunks and overlap.
        evaluation: protocols.
    """
