"""The typed shape of the recipes; the values are in ``recipes/*.yaml``."""

from __future__ import annotations

from dataclasses import dataclass

from mss_shared.recipe_sections import BaseRecipe, DataConfig, LoopConfig


@dataclass(frozen=True)
class ModelConfig:
    """The networks, their transform, and the filter behind them.

    Args:
        targets: stems with a network, one in the published recipes.
        sample_rate: Hz.
        nb_channels: 1 or 2.
        n_fft: samples per frame.
        n_hop: samples from frame to frame.
        bandwidth_hz: up to where the network looks.
        hidden_size: features between the layers.
        nb_layers: of the LSTM.
        unidirectional: an LSTM that sees no future.
        pipeline: ``1.0.0`` (2019, whose scores are published) or ``1.3.0``.
        niter: iterations of the Wiener filter; without effect on a single target.
        softmask: first estimates by ratio.
        wiener_win_len: frames filtered together, or null for the whole song.
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
    """Optimizer and schedule; the loss has no numbers.

    Args:
        lr: Adam's learning rate.
        weight_decay: added to the gradient, not decoupled.
        plateau_factor: the learning rate's factor on a plateau of the validation loss.
        plateau_patience: epochs without gain that make a plateau.
        plateau_cooldown: epochs after a change that do not count.
    """

    lr: float
    weight_decay: float
    plateau_factor: float
    plateau_patience: int
    plateau_cooldown: int


@dataclass(frozen=True)
class Recipe(BaseRecipe[DataConfig, ModelConfig, TrainingConfig]):
    """One row of a table, complete.

    Args:
        reproduces: the claimed row in ``results/papers.csv``, or null.
        data: how examples are drawn.
        model: networks, transform, filter.
        training: optimizer, schedule, loop.
        inference: chunks and overlap.
        evaluation: protocols.
    """
