"""Dataclasses that define the fields of a recipe; the values are in ``recipes/*.yaml``."""

from __future__ import annotations

from dataclasses import dataclass

from mss_shared.recipe_sections import BaseRecipe, DataConfig, LoopConfig


@dataclass(frozen=True)
class ModelConfig:
    """The networks, their STFT, and the Wiener filter after them.

    Args:
        targets: stems that have a network; one in the published recipes.
        sample_rate: Hz.
        nb_channels: 1 or 2.
        n_fft: samples per frame.
        n_hop: samples from one frame to the next.
        bandwidth_hz: input bins above this frequency are cut.
        hidden_size: features between the layers.
        nb_layers: LSTM layers.
        unidirectional: use an LSTM that does not see future frames.
        pipeline: ``1.0.0`` (2019, with which the published scores were made) or ``1.3.0``.
        niter: iterations of the Wiener filter; ignored for a single target.
        softmask: start the filter from ratio masks.
        wiener_win_len: window of the filter in frames, or null for the whole song.
    """

    targets: tuple[str, ...]
    sample_rate: int
    nb_channels: int
    n_fft: int
    n_hop: int
    bandwidth_hz: float
    hidden_size: int
    nb_layers: int
    unidirectional: bool
    pipeline: str
    niter: int
    softmask: bool
    wiener_win_len: int | None


@dataclass(frozen=True)
class TrainingConfig(LoopConfig):
    """Optimizer and schedule; the loss has no parameters.

    Args:
        lr: Adam's learning rate.
        weight_decay: L2 penalty in the gradient, not decoupled.
        plateau_factor: multiplies the learning rate on a plateau of the validation loss.
        plateau_patience: epochs without improvement before that.
        plateau_cooldown: epochs after a change that are not counted.
    """

    lr: float
    weight_decay: float
    plateau_factor: float
    plateau_patience: int
    plateau_cooldown: int


@dataclass(frozen=True)
class Recipe(BaseRecipe[DataConfig, ModelConfig, TrainingConfig]):
    """Everything needed to reproduce one row of a results table.

    Args:
        reproduces: the row of ``results/papers.csv`` that it reproduces, or null.
        data: how training examples are drawn.
        model: networks, STFT, filter.
        training: optimizer, schedule, loop.
        inference: chunks and overlap.
        evaluation: scoring protocols.
    """
