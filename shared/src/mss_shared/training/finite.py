"""Stops a run whose loss or weights are no longer numbers, before a checkpoint is replaced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import lightning as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn

from mss_shared.training.criteria import LOSS, SDR
from mss_shared.training.data import Examples

_ADVICE = "lower the learning rate or check the data (mss-data check)"


class Finite(Callback):
    """Looks at the loss of every step, at the weights after it, and at the validation's values.

    All devices stop at the same step; only the first says so.

    Args:
        examples: the data, which knows the tracks of a step.
    """

    def __init__(self, examples: Examples) -> None:
        self.examples = examples
        self.wrong: str | None = None

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Raise ValueError after a step that went wrong on any device."""
        loss = float(outputs["loss"]) * trainer.accumulate_grad_batches
        if not math.isfinite(loss):
            self.wrong = self.wrong or f"the training loss is {loss}"
        step, unfinished = divmod(batch_idx + 1, trainer.accumulate_grad_batches)
        if unfinished:
            return
        if self.wrong is None and not are_finite(list(pl_module.parameters())):
            self.wrong = "the weights are not finite"
        if trainer.world_size > 1:
            stops = trainer.strategy.reduce_boolean_decision(self.wrong is not None, all=False)
            self.wrong = self.wrong or ("the training loss is not finite" if stops else None)
        if self.wrong is not None:
            step += trainer.current_epoch * self.examples.steps
            _stop(trainer, f"{self.wrong} at step {step}, {self._describe(trainer, step)}")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raise ValueError after a validation whose loss or SDR is not finite."""
        for name, what in ((LOSS.name, "loss"), (SDR.name, "SDR")):
            value = float(trainer.callback_metrics.get(name, 0.0))
            if math.isfinite(value):
                continue
            said, step = f"the validation {what} is {value}", trainer.global_step
            if trainer.sanity_checking:
                _stop(trainer, f"{said} before the first step")
            _stop(trainer, f"{said} after step {step}, {self._describe(trainer, step)}")

    def _describe(self, trainer: pl.Trainer, step: int) -> str:
        """The tracks of a step; only the first device says them, and so draws the examples."""
        tracks = self.examples.tracks_of(step) if trainer.is_global_zero else []
        return f"whose examples are from {', '.join(tracks)}"


def are_finite(tensors: Sequence[nn.Parameter]) -> bool:
    """Whether all values of all tensors are finite; a single transfer from the device."""
    filled = [tensor.detach() for tensor in tensors if tensor.numel()]
    return math.isfinite(float(torch.nn.utils.get_total_norm(filled, norm_type=math.inf)))


def _stop(trainer: pl.Trainer, what: str) -> None:
    if not trainer.is_global_zero:
        raise SystemExit(2)
    kept = "; the checkpoints of earlier epochs are kept" if trainer.current_epoch else ""
    raise ValueError(f"{what}: {_ADVICE}{kept}")
