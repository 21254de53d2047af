"""The typed shape of the recipes; the values are in ``recipes/*.yaml``."""

from __future__ import annotations

from dataclasses import dataclass

from moises_light.config import ModelConfig
from mss_shared.recipe_sections import BaseRecipe, DataConfig, LoopConfig


@dataclass(frozen=True)
class TrainingConfig(LoopConfig):
    """Loss, optimizer and schedule.

    Args:
        waveform_weight: weight of the mean absolute error of samples.
        spec_weight: weight of that of the complex spectrogram at the model's own resolution.
        multi_spec_weight: weight of the mean of that at the resolutions below.
        multi_n_fft: their transform sizes; the hop is a quarter.
        lr: AdamW's learning rate.
        weight_decay: AdamW's decoupled weight decay.
        schedule: ``plateau`` of the validation loss, or ``cosine`` to zero over all steps.
        plateau_factor: the learning rate's factor on a plateau.
        plateau_patience: epochs without gain that make a plateau.
    """

    waveform_weight: float
    spec_weight: float
    multi_spec_weight: float
    multi_n_fft: tuple[int, ...]
    lr: float
    weight_decay: float
    schedule: str
    plateau_factor: float
    plateau_patience: int


@dataclass(frozen=True)
class Recipe(BaseRecipe[DataConfig, ModelConfig, TrainingConfig]):
    """One row of a table, complete.

    Args:
        reproduces: the claimed row in ``results/papers.csv``, or null.
        data: how examples are drawn.
        model: the keyword arguments of ``MoisesLight``.
        training: loss, optimizer, loop.
        inference: chunks and overlap.
        evaluation: protocols.
    """
