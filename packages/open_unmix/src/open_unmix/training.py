"""Loss, optimizer and schedule of Open-Unmix, from the authors' training script.

Networks of several targets can be trained in one module. They share no weights, so that each gets
the gradients it would get alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from mss_shared.training import TrainingModule
from open_unmix.model import STFT
from open_unmix.recipe import TrainingConfig
from open_unmix.separator import Separator


class Training(TrainingModule):
    """Mean squared error of magnitudes, without the Wiener filter; Adam, plateau schedule.

    Source: authors' training script.
    """

    def __init__(self, model: Separator, config: TrainingConfig) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.stft = STFT(model.stft.n_fft, model.stft.n_hop, center=False)

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """The loss of one batch of {"mixture", "stems"}."""
        loss = self.loss(batch)
        self.log_mean("train/loss", loss, len(batch["mixture"]))
        return loss

    def validation_step(self, batch: dict[str, Tensor], _: int) -> None:
        """The same loss on a whole song; all songs have the same weight, whatever their length."""
        loss = self.loss(batch)
        self.log_mean("val/loss", loss, len(batch["mixture"]))

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean squared error of the target's magnitudes, summed over targets."""
        mixture = self.magnitude(batch["mixture"])
        errors = [
            mse_loss(network(mixture), self.magnitude(stem))
            for network, stem in zip(
                self.model.networks(), batch["stems"].unbind(dim=1), strict=True
            )
        ]
        return torch.stack(errors).sum()

    def magnitude(self, audio: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, channel or 1, bin, frame), not centred."""
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
