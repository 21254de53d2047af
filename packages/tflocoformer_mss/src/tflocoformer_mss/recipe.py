"""The typed shape of the recipes; the values are in ``recipes/*.yaml``."""

from __future__ import annotations

from dataclasses import dataclass

from mss_shared.recipe_sections import BaseRecipe, DataConfig, LoopConfig
from tflocoformer_mss.config import ModelConfig


@dataclass(frozen=True)
class LossConfig(LoopConfig):
    """Weights of the terms of the loss, which are summed over stems; 0.0 leaves one out.

    Where the authors take the mean over stems, a recipe's weight is a share of theirs.

    Args:
        si_sdr_weight: of the negative SI-SDR.
        l1_weight: of the mean absolute error.
        l2_weight: of the mean squared error.
        spectral_weight: of the error of magnitudes.
        snr_weight: of the negative SNR, thresholded at 30 dB.
        tfd_weight: of the absolute errors in time and of magnitudes at four resolutions.
        permute: take the order of stems with the least loss, for stems that have no names.
    """

    si_sdr_weight: float
    l1_weight: float
    l2_weight: float
    spectral_weight: float
    snr_weight: float
    tfd_weight: float
    permute: bool


@dataclass(frozen=True)
class TrainingConfig(LossConfig):
    """Optimizer, schedule and what computes.

    Args:
        lr: AdamW's learning rate.
        weight_decay: decoupled.
        betas: AdamW's.
        adam_eps: AdamW's.
        fused: AdamW's update in one kernel.
        warmup_steps: of a linear rise of the learning rate; 0 for none.
        warmup_start_lr: where it starts.
        schedule: ``plateau`` of the validation loss, or ``cosine`` to zero.
        plateau_hold_epochs: epochs at the start that make no plateau.
        plateau_factor: the learning rate's factor on a plateau.
        plateau_patience: epochs without gain that make a plateau.
        plateau_cooldown: epochs after a change that do not count.
        plateau_min_lr: the rate goes no lower.
        gradient_checkpointing: compute the blocks anew in the backward pass to save memory.
        tf32: on CUDA, products of float32 with shortened factors.
        cudnn_benchmark: on CUDA, try kernels and take the fastest.
    """

    lr: float
    weight_decay: float
    betas: tuple[float, float]
    adam_eps: float
    fused: bool
    warmup_steps: int
    warmup_start_lr: float
    schedule: str
    plateau_hold_epochs: int
    plateau_factor: float
    plateau_patience: int
    plateau_cooldown: int
    plateau_min_lr: float
    gradient_checkpointing: bool
    tf32: bool
    cudnn_benchmark: bool


@dataclass(frozen=True)
class Recipe(BaseRecipe[DataConfig, ModelConfig, TrainingConfig]):
    """One row of a table, complete.

    Args:
        reproduces: the claimed row in ``results/papers.csv``, or null.
        data: how examples are drawn.
        model: separator and transform.
        training: loss, optimizer, schedule, loop.
        inference: chunks and overlap.
        evaluation: protocols.
    """
