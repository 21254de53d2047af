"""Loss, optimizer and schedule of Open-Unmix (the authors' training script; the paper states none).

Networks of several targets in one module train side by side: they share no weight, so each sees
the gradients it would see alone.
"""

from __future__ import annotations

from typing import Any

import lightning as pl
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from open_unmix.model import STFT
from open_unmix.recipe import TrainingConfig
from open_unmix.separator import Separator


class Training(pl.LightningModule):
    """Mean squared error of magnitudes, Adam, plateau; no Wiener filter is involved."""

    def __init__(self, model: Separator, config: TrainingConfig) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.stft = STFT(model.stft.n_fft, model.stft.n_hop, center=False)

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """The loss of one batch of {"mixture", "stems"}."""
        loss = self.loss(batch)
        self.log("train/loss", loss, on_step=True, on_epoch=True, batch_size=len(batch["mixture"]))
        return loss

    def validation_step(self, batch: dict[str, Tensor], _: int) -> None:
        """The same loss on a whole song; songs count alike, whatever their length."""
        loss = self.loss(batch)
        self.log("val/loss", loss, batch_size=len(batch["mixture"]), sync_dist=True)

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """The mean squared error of the target's magnitudes; of several targets, the sum."""
        mixture = self.magnitude(batch["mixture"])
        errors = [
            mse_loss(network(mixture), self.magnitude(stem))
            for network, stem in zip(
                self.model.networks(), batch["stems"].unbind(dim=1), strict=True
            )
        ]
        return torch.stack(errors).sum()

    def magnitude(self, audio: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, channel or 1, bin, frame) inside the audio."""
        magnitude: Tensor = self.model.complexnorm(self.stft(audio))
        return magnitude

    def configure_optimizers(self) -> Any:
        """Adam and its plateau schedule."""
        config = self.config
        optimizer = torch.optim.Adam(
            self.model.parameters(), lr=config.lr, weight_decay=config.weight_decay
        )
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer,
            factor=config.plateau_factor,
            patience=config.plateau_patience,
            cooldown=config.plateau_cooldown,
        )
        return [optimizer], [{"scheduler": plateau, "monitor": "val/loss"}]
