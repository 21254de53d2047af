"""Loss, optimizer and schedule of all recipes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau
from torch.optim.optimizer import Optimizer

from mss_shared.training import TrainingModule
from tflocoformer_mss.losses import TERMS, combine
from tflocoformer_mss.model import WaveformModel
from tflocoformer_mss.recipe import TrainingConfig


class Training(TrainingModule):
    """Weighted losses, AdamW, linear warm-up, then a plateau, cosine or step schedule.

    Source: authors' code and the music fork; each recipe names the source of its values.
    """

    def __init__(self, model: WaveformModel, config: TrainingConfig) -> None:
        super().__init__()
        if config.schedule not in ("plateau", "cosine", "steps"):
            raise ValueError(
                f"training.schedule is {config.schedule!r}: choose plateau, cosine or steps"
            )
        if (config.schedule == "steps") != (config.step_decay is not None):
            raise ValueError(
                f"training.schedule is {config.schedule} and training.step_decay "
                f"{'null' if config.step_decay is None else 'is given'}: steps need it, others "
                f"can't use it"
            )
        self.model = model
        self.config = config
        self.weights = {name: float(getattr(config, f"{name}_weight")) for name in TERMS}
        self.flags: tuple[bool, ...] = ()
        model.activation_checkpointing = config.gradient_checkpointing
        # On several devices, gradient synchronisation would wait for prompts that get no gradient.
        model.freeze_unused_prompts()

    def on_fit_start(self) -> None:
        """Set TF32 and cuDNN benchmarking for this fit."""
        self.flags = cuda_flags()
        set_cuda_flags(self.config.tf32, self.config.tf32, self.config.cudnn_benchmark)

    def on_fit_end(self) -> None:
        """Restore the settings from before the fit."""
        set_cuda_flags(*self.flags)

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """The loss of one batch of {"mixture", "stems"}."""
        loss, parts = self.losses(batch)
        size = len(batch["mixture"])
        for name, part in {"loss": loss, **parts}.items():
            self.log_mean(f"train/{name}", part, size)
        return loss

    def validation_step(self, batch: dict[str, Tensor], _: int) -> None:
        """The same loss on the validation chunks."""
        loss, _parts = self.losses(batch)
        self.log_mean("val/loss", loss, len(batch["mixture"]))

    def losses(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The total loss, and each term averaged over stems."""
        estimate = self.model(batch["mixture"])
        total, parts = combine(estimate, batch["stems"], self.weights, permute=self.config.permute)
        return total, {name: part.mean().detach() for name, part in parts.items()}

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, *others: Any) -> None:
        """One optimizer step, with the learning rate of the warm-up or of the steps."""
        step, decay = self.trainer.global_step, self.config.step_decay
        rate = None if decay is None else self.config.lr * decay.at(step)
        if step < self.config.warmup_steps:
            rate = self.warm_lr(step)
        if rate is not None:
            for group in optimizer.param_groups:
                group["lr"] = rate
        super().optimizer_step(epoch, batch_idx, optimizer, *others)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of all gradients, also with a fused optimizer.

        Lightning rejects that combination under mixed precision, because a fused optimizer may
        unscale gradients within its step. In bfloat16 gradients are not scaled; those of float16
        are unscaled here before clipping.
        """
        if not gradient_clip_val:
            return
        scaler = self.trainer.scaler
        if scaler is not None and self.config.fused:
            scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)

    def warm_lr(self, step: int) -> float:
        """The learning rate of a step of the warm-up; the last step has the full rate."""
        config = self.config
        progress = (step + 1) / config.warmup_steps
        return config.warmup_start_lr + progress * (config.lr - config.warmup_start_lr)

    def configure_optimizers(self) -> Any:
        """AdamW and its schedule; `optimizer_step` sets the rates of steps."""
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
        if config.schedule == "steps":
            return optimizer
        plateau = Plateau(optimizer, config)
        return [optimizer], [{"scheduler": plateau, "monitor": "val/loss"}]


class Plateau(ReduceLROnPlateau):
    """ReduceLROnPlateau that ignores the first ``plateau_hold_epochs`` epochs."""

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
        """Update with an epoch's validation loss; during the first epochs only count them."""
        if self.last_epoch < self.hold_epochs:
            self.last_epoch += 1
            return
        super().step(metrics, epoch)


def cuda_flags() -> tuple[bool, bool, bool]:
    """Current settings: TF32 in matrix products, TF32 in convolutions, cuDNN benchmarking."""
    cudnn = torch.backends.cudnn
    return torch.backends.cuda.matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark


def set_cuda_flags(products: bool, convolutions: bool, benchmark: bool) -> None:
    """Set the settings that `cuda_flags` returns."""
    torch.backends.cuda.matmul.allow_tf32 = products
    torch.backends.cudnn.allow_tf32 = convolutions
    torch.backends.cudnn.benchmark = benchmark
