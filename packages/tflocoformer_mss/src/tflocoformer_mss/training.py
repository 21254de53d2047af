"""Loss, optimizer and schedule of all recipes."""

from __future__ import annotations

from typing import Any

import lightning as pl
import torch
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau
from torch.optim.optimizer import Optimizer

from tflocoformer_mss.losses import TERMS, combine
from tflocoformer_mss.model import WaveformModel
from tflocoformer_mss.recipe import TrainingConfig


class Training(pl.LightningModule):
    """The weighted losses, AdamW, a warm-up, then a plateau or a cosine."""

    def __init__(self, model: WaveformModel, config: TrainingConfig) -> None:
        super().__init__()
        if config.schedule not in ("plateau", "cosine"):
            raise ValueError(f"training.schedule is {config.schedule!r}: choose plateau or cosine")
        self.model = model
        self.config = config
        self.weights = {name: float(getattr(config, f"{name}_weight")) for name in TERMS}
        self.flags: tuple[bool, ...] = ()
        model.activation_checkpointing = config.gradient_checkpointing
        # Several devices would wait for the gradients of these.
        model.freeze_unasked()

    def on_fit_start(self) -> None:
        """Set what the process computes with."""
        self.flags = cuda_flags()
        set_cuda_flags(self.config.tf32, self.config.tf32, self.config.cudnn_benchmark)

    def on_fit_end(self) -> None:
        """Leave the process as it was."""
        set_cuda_flags(*self.flags)

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """The loss of one batch of {"mixture", "stems"}."""
        loss, parts = self.losses(batch)
        size = len(batch["mixture"])
        for name, part in {"loss": loss, **parts}.items():
            self.log(f"train/{name}", part, on_step=True, on_epoch=True, batch_size=size)
        return loss

    def validation_step(self, batch: dict[str, Tensor], _: int) -> None:
        """The same loss on the validation chunks."""
        loss, _parts = self.losses(batch)
        self.log("val/loss", loss, batch_size=len(batch["mixture"]), sync_dist=True)

    def losses(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The total, and the mean over stems of each term."""
        estimate = self.model(batch["mixture"])
        total, parts = combine(estimate, batch["stems"], self.weights, permute=self.config.permute)
        return total, {name: part.mean().detach() for name, part in parts.items()}

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, *given: Any) -> None:
        """One step, at the warm-up's learning rate while there is one."""
        if self.trainer.global_step < self.config.warmup_steps:
            for group in optimizer.param_groups:
                group["lr"] = self.warm_lr(self.trainer.global_step)
        super().optimizer_step(epoch, batch_idx, optimizer, *given)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of all gradients, of a fused optimizer too.

        Lightning refuses that under mixed precision, as such an optimizer may unscale gradients in
        its step; bfloat16 scales none, and those of float16 are unscaled here first.
        """
        if not gradient_clip_val:
            return
        scaler = self.trainer.scaler
        if scaler is not None and self.config.fused:
            scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)

    def warm_lr(self, step: int) -> float:
        """The learning rate of a step of the warm-up; the last one's is the full rate."""
        config = self.config
        share = (step + 1) / config.warmup_steps
        return config.warmup_start_lr + share * (config.lr - config.warmup_start_lr)

    def configure_optimizers(self) -> Any:
        """AdamW and its schedule."""
        config = self.config
        optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=config.lr,
            betas=config.betas,
            eps=config.adam_eps,
            weight_decay=config.weight_decay,
            fused=config.fused,
        )
        if config.schedule == "cosine":
            steps = int(self.trainer.estimated_stepping_batches)
            cosine = CosineAnnealingLR(optimizer, steps)
            return [optimizer], [{"scheduler": cosine, "interval": "step"}]
        plateau = Plateau(optimizer, config)
        return [optimizer], [{"scheduler": plateau, "monitor": "val/loss"}]


class Plateau(ReduceLROnPlateau):
    """Lower the learning rate when the validation loss stops falling, not before some epochs."""

    def __init__(self, optimizer: Optimizer, config: TrainingConfig) -> None:
        self.hold_epochs = config.plateau_hold_epochs
        super().__init__(
            optimizer,
            factor=config.plateau_factor,
            patience=config.plateau_patience,
            cooldown=config.plateau_cooldown,
            min_lr=config.plateau_min_lr,
        )

    def step(  # type: ignore[override]  # as its own base class in torch
        self, metrics: Any, epoch: int | None = None
    ) -> None:
        """Take an epoch's loss; the first ones are only counted."""
        if self.last_epoch < self.hold_epochs:
            self.last_epoch += 1
            return
        super().step(metrics, epoch)


def cuda_flags() -> tuple[bool, bool, bool]:
    """TF32 in matrix products, TF32 in convolutions, trying kernels."""
    cudnn = torch.backends.cudnn
    return torch.backends.cuda.matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark


def set_cuda_flags(products: bool, convolutions: bool, benchmark: bool) -> None:
    """Set what `cuda_flags` reads."""
    torch.backends.cuda.matmul.allow_tf32 = products
    torch.backends.cudnn.allow_tf32 = convolutions
    torch.backends.cudnn.benchmark = benchmark
