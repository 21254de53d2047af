"""Optimizer and schedule of both models."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau, StepLR

from bs_roformer.model import Roformer
from bs_roformer.recipe import TrainingConfig
from mss_shared.training import TrainingModule


class Training(TrainingModule):
    """Train with the model's own loss (L1 of waveform and spectrograms) and AdamW.

    Source: loss, optimizer and step decay are the papers'; the plateau schedule is that of
    third-party training code.

    Raises:
        ValueError: if the schedule is unknown.
    """

    def __init__(self, model: Roformer, config: TrainingConfig) -> None:
        super().__init__()
        if config.schedule not in ("step", "plateau", "cosine"):
            raise ValueError(
                f"training.schedule is {config.schedule!r}: choose step, plateau or cosine"
            )
        self.model = model
        self.config = config
        model.activation_checkpointing = config.activation_checkpointing

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """{"mixture": (b, c, n), "stems": (b, s, c, n)} -> the loss, a scalar."""
        loss, parts = self._losses(batch)
        size = len(batch["mixture"])
        for name, part in zip(("loss", "waveform", "spectral"), (loss, *parts), strict=True):
            self.log_mean(f"train/{name}", part, size)
        return loss

    def validation_step(self, batch: dict[str, Tensor], _: int) -> None:
        """Log the same loss for a batch of validation chunks."""
        loss, _parts = self._losses(batch)
        self.log_mean("val/loss", loss, len(batch["mixture"]))

    def _losses(self, batch: dict[str, Tensor]) -> Any:
        """total, (L1, spectral)."""
        return self.model(batch["mixture"], target=batch["stems"], return_loss_breakdown=True)

    def configure_optimizers(self) -> Any:
        """AdamW and the recipe's schedule, in the form Lightning expects."""
        config = self.config
        optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.lr, weight_decay=config.weight_decay
        )
        if config.schedule == "cosine":
            steps = int(self.trainer.estimated_stepping_batches)
            return [optimizer], [
                {"scheduler": CosineAnnealingLR(optimizer, steps), "interval": "step"}
            ]
        if config.schedule == "step":
            decay = StepLR(optimizer, config.decay_steps, config.lr_factor)
            return [optimizer], [{"scheduler": decay, "interval": "step"}]
        plateau = ReduceLROnPlateau(
            optimizer, factor=config.lr_factor, patience=config.plateau_patience
        )
        return [optimizer], [{"scheduler": plateau, "monitor": "val/loss"}]
