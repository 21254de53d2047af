"""Dataclasses that define the fields of a recipe; the values are in ``recipes/*.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from moises_light.config import ModelConfig
from mss_shared.recipe_sections import BaseRecipe, DataConfig, LoopConfig


@dataclass(frozen=True)
class TrainingConfig(LoopConfig):
    """Loss, optimizer and schedule.

    Args:
        waveform_weight: weight of the waveform's mean absolute error (MAE).
        spec_weight: weight of the complex spectrogram's MAE at the model's own resolution.
        multi_spec_weight: weight of that MAE averaged over the resolutions of ``multi_n_fft``.
        multi_n_fft: STFT sizes in samples of the multi-resolution loss; the hop is a quarter.
        lr: AdamW's learning rate.
        weight_decay: AdamW's decoupled weight decay.
        schedule: ``plateau`` of the validation loss, or ``cosine`` to zero over all steps.
        plateau_factor: multiplies the learning rate on a plateau.
        plateau_patience: epochs without improvement before that.
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
    """Everything needed to reproduce one row of a results table.

    Args:
        reproduces: the row of ``results/papers.csv`` that it reproduces, or null.
        data: how training examples are drawn.
        model: the keyword arguments of ``MoisesLight``.
        training: loss, optimizer, schedule.
        inference: chunks and overlap.
        evaluation: scoring protocols.
    """

    added: ClassVar[dict[str, Any]] = {"model.dec_heavy_at": "first", "model.normalize_input": True}
