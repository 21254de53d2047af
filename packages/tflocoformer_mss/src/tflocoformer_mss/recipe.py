"""Dataclasses that define the fields of a recipe; the values are in ``recipes/*.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from mss_shared import recipe_sections
from mss_shared.recipe_sections import BaseRecipe, LoopConfig
from tflocoformer_mss.config import ModelConfig

NO_GAIN = (0.0, 0.0)


@dataclass(frozen=True)
class DataConfig(recipe_sections.DataConfig):
    """How training examples are drawn: the fields of all papers, and gains in decibels.

    Args:
        gain_range_db: smallest and largest gain in dB, drawn uniformly in dB per stem, on top of
            ``gain_range``; [0.0, 0.0] for none.
        unit_rms: scale each stem to a root mean square of one before ``gain_range_db``; a silent
            one stays silent.
    """

    gain_range_db: tuple[float, float]
    unit_rms: bool


@dataclass(frozen=True)
class LossConfig(LoopConfig):
    """Weights of the loss terms, which are summed over stems; 0.0 turns a term off.

    Where the authors take the mean over stems, the weight is theirs divided by the number of stems.

    Args:
        si_sdr_weight: of the negative SI-SDR.
        l1_weight: of the mean absolute error.
        l2_weight: of the mean squared error.
        spectral_weight: of the log-magnitude error.
        snr_weight: of the negative SNR, thresholded at 30 dB.
        tfd_weight: of the multi-resolution L1 loss in time and frequency.
        permute: permutation invariant training (PIT), for interchangeable stems.
    """

    si_sdr_weight: float
    l1_weight: float
    l2_weight: float
    spectral_weight: float
    snr_weight: float
    tfd_weight: float
    permute: bool


@dataclass(frozen=True)
class StepDecay:
    """A learning rate that falls in steps between two optimizer steps of the training.

    Args:
        from_step: the first optimizer step with a decayed rate, after ``every_steps`` more.
        to_step: the rate stays as it is from here on.
        every_steps: optimizer steps between two decays.
        factor: multiplies the rate each time.
    """

    from_step: int
    to_step: int
    every_steps: int
    factor: float

    def __post_init__(self) -> None:
        if self.every_steps < 1 or not 0 <= self.from_step <= self.to_step:
            raise ValueError(
                f"step_decay is every {self.every_steps} steps from {self.from_step} to "
                f"{self.to_step}: give at least 1, and an end after the start"
            )

    def at(self, step: int) -> float:
        """The factor of the learning rate at an optimizer step, counted from zero."""
        passed = min(step, self.to_step) - self.from_step
        return float(self.factor ** max(0, passed // self.every_steps))


@dataclass(frozen=True)
class TrainingConfig(LossConfig):
    """Optimizer, schedule and computation.

    Args:
        lr: AdamW's learning rate.
        weight_decay: AdamW's decoupled weight decay.
        betas: AdamW's.
        adam_eps: AdamW's.
        fused: use AdamW's fused kernel.
        warmup_steps: linear warm-up of the learning rate; 0 for none.
        warmup_start_lr: learning rate at its start.
        schedule: ``plateau`` of the validation loss, ``cosine`` to zero, or ``steps``.
        plateau_hold_epochs: initial epochs that are not counted.
        plateau_factor: multiplies the learning rate on a plateau.
        plateau_patience: epochs without improvement before that.
        plateau_cooldown: epochs after a change that are not counted.
        plateau_min_lr: lowest learning rate of the schedule.
        step_decay: when ``steps`` lower the rate, or null with another schedule.
        gradient_checkpointing: recompute the blocks in the backward pass to save memory.
        tf32: on CUDA, compute float32 products in TF32.
        cudnn_benchmark: on CUDA, let cuDNN benchmark kernels and use the fastest.
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
    step_decay: StepDecay | None
    gradient_checkpointing: bool
    tf32: bool
    cudnn_benchmark: bool


@dataclass(frozen=True)
class Recipe(BaseRecipe[DataConfig, ModelConfig, TrainingConfig]):
    """Everything needed to reproduce one row of a results table.

    Args:
        reproduces: the row of ``results/papers.csv`` that it reproduces, or null.
        data: how training examples are drawn.
        model: separator and STFT.
        training: loss, optimizer, schedule, loop.
        inference: chunks and overlap.
        evaluation: scoring protocols.
    """

    added: ClassVar[dict[str, Any]] = {
        "data.gain_range_db": NO_GAIN,
        "data.unit_rms": False,
        "training.step_decay": None,
    }
