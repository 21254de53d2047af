"""Mean squared error, Adam, plateau."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from mss_shared.training import TrainingModule
from tiny_paper.model import TinyMask
from tiny_paper.recipe import TrainingConfig


class Training(TrainingModule):
    """The mean squared error of the samples."""

    def __init__(self, model: TinyMask, config: TrainingConfig) -> None:
        super().__init__()
        self.model = model
        self.config = config

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """The loss of one batch of {"mixture", "stems"}."""
        loss = mse_loss(self.model(batch["mixture"]), batch["stems"])
        self.log_mean("train/loss", loss, len(batch["mixture"]))
        return loss

    def validation_step(self, batch: dict[str, Tensor], _: int) -> None:
        """The same loss on the validation chunks."""
        loss = mse_loss(self.model(batch["mixture"]), batch["stems"])
        self.log_mean("val/loss", loss, len(batch["mixture"]))

    def configure_optimizers(self) -> Any:
        """Adam, slower on a plateau."""
        config = self.config
        optimizer = torch.optim.Adam(self.model.parameters(), lr=config.lr)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=config.plateau_factor, patience=config.plateau_patience
        )
        return [optimizer], [{"scheduler": plateau, "monitor": "val/loss"}]
