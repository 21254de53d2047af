"""Loss, optimizer and schedule of LaSAFT-Net, as in the authors' trainer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

from lasaft.losses import Loss, find_loss
from lasaft.model import Separator, full_precision
from lasaft.recipe import TrainingConfig
from mss_shared import console
from mss_shared.training import TrainingModule

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
SCHEDULES = ("none", "plateau", "cosine")


class Training(TrainingModule):
    """Trains on one stem per example, validates on all stems of each window.

    Args:
        model: to be trained.
        config: losses, optimizer, schedule and loop.

    Raises:
        ValueError: for an unknown loss, optimizer or schedule, or a batch of one example for a
            model whose condition generator has batch norms.
    """

    def __init__(self, model: Separator, config: TrainingConfig) -> None:
        super().__init__()
        for name, choices in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if getattr(config, name) not in choices:
                raise ValueError(
                    f"training.{name} is {getattr(config, name)!r}: choose from "
                    f"{', '.join(choices)}"
                )
        has_norms = any(isinstance(part, nn.BatchNorm1d) for part in model.conditioning())
        if config.batch < 2 and has_norms:
            raise ValueError(
                f"training.batch is {config.batch}: the condition generator has batch norms, "
                f"give at least 2"
            )
        self.model = model
        self.config = config
        self.train_loss = self._loss(config.train_loss)
        self.val_loss = self._loss(config.val_loss)

    def _loss(self, name: str) -> Loss:
        sizes = self.model.config
        weights = (self.config.raw_weight, self.config.spec_weight)
        return find_loss(name, sizes.n_fft, sizes.hop_length, weights)

    def setup(self, stage: str) -> None:
        """Hand min_epochs to Lightning's loop, and point out an unusual last activation."""
        self.trainer.fit_loop.min_epochs = self.config.min_epochs
        last = self.model.config.last_activation
        mapping = self.model.config.spec_est_mode == "mapping"
        if mapping and last != "identity" and self.trainer.is_global_zero:
            console.say(f"spec_est_mode mapping with last_activation {last}: identity is usual")

    def on_train_epoch_start(self) -> None:
        """Drop a request to stop that came before ``min_epochs``.

        Lightning would keep the request until it may stop, even if the loss improves meanwhile.
        Early stopping keeps its own count, so the next validation repeats the request unless the
        loss has improved.
        """
        self.trainer.should_stop = False

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """The loss of one batch of {"mixture", "target", "condition"}; scalar."""
        loss = self.compare(self.train_loss, batch["mixture"], batch["target"], batch["condition"])
        self.log_mean("train/loss", loss, len(batch["mixture"]))
        return loss

    def validation_step(self, batch: dict[str, Tensor], _: int) -> None:
        """Log the mean loss over all stems of a batch of {"mixture", "stems"} windows."""
        stems = batch["stems"]
        conditions = torch.arange(stems.shape[1], device=stems.device).repeat(len(stems))
        loss = self.compare(self.val_loss, batch["mixture"], stems.flatten(0, 1), conditions)
        self.log_mean("val/loss", loss, len(stems))

    def compare(self, loss: Loss, mixture: Tensor, target: Tensor, condition: Tensor) -> Tensor:
        """The loss of what the model separates from whole windows.

        Args:
            loss: compares estimate and target.
            mixture: (batch, channel, sample), a window long.
            target: (condition, channel, sample).
            condition: (condition,) int64, as many as windows or a multiple.

        Returns:
            A scalar.
        """
        model = self.model
        spec = model.spectrum(mixture)
        estimate = model.estimate(model.image(spec), condition if model.conditioned else None)
        reference = model.image(model.spectrum(target))
        return loss(
            (full_precision(estimate), reference), lambda: (model.waveform(estimate, spec), target)
        )

    def configure_optimizers(self) -> Any:
        """The optimizer and its schedule, if there is one."""
        config = self.config
        optimizer = OPTIMIZERS[config.optimizer](
            [p for p in self.model.parameters() if p.requires_grad],
            lr=config.lr,  # type: ignore[call-arg]
        )
        if config.schedule == "none":
            return optimizer
        if config.schedule == "cosine":
            steps = int(self.trainer.estimated_stepping_batches)
            return [optimizer], [
                {"scheduler": CosineAnnealingLR(optimizer, steps), "interval": "step"}
            ]
        plateau = ReduceLROnPlateau(
            optimizer, factor=config.plateau_factor, patience=config.plateau_patience
        )
        return [optimizer], [{"scheduler": plateau, "monitor": "val/loss"}]
