"""A training loop written out by hand, and ours on the same batches, for the papers' tests.

Only gradients come from torch. Source of the optimizers: Kingma and Ba 2015; Loshchilov and Hutter
2019. The average of weights starts as the weights after the first step, as torch's AveragedModel.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightning as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from torch import Tensor, nn

Batch = Mapping[str, Tensor]
LossOf = Callable[[nn.Module, Batch], Tensor]


@dataclass(frozen=True)
class Plan:
    """What a recipe asks for.

    Attributes:
        rate: the learning rate by optimizer step, before the plateau.
        decay: weight decay.
        decoupled: it acts on the weights (AdamW), not on the gradients (Adam).
        clip: largest norm of all gradients, or None.
        passes: batches per optimizer step.
        ema: decay of the average of weights, or None.
        epoch: batches between two validations.
        plateau: factor, patience and cooldown in epochs, or None.
    """

    rate: Callable[[int], float]
    decay: float
    decoupled: bool
    clip: float | None = None
    passes: int = 1
    ema: float | None = None
    epoch: int = 10
    plateau: tuple[float, int, int] | None = None


@dataclass
class Curve:
    """Loss of every batch, norm of all weights after it, validation losses, last average."""

    losses: list[float]
    norms: list[float]
    validated: list[float]
    average: float


class WrittenOut:
    """The loop; arguments as ``reference_curve``."""

    def __init__(self, model: nn.Module, loss_of: LossOf, plan: Plan) -> None:
        self.model, self.loss_of, self.plan = model, loss_of, plan
        self.weights = [p for p in model.parameters() if p.requires_grad]
        self.first = [torch.zeros_like(p) for p in self.weights]
        self.second = [torch.zeros_like(p) for p in self.weights]
        self.average: nn.Module | None = None
        self.step, self.factor = 0, 1.0
        self.best, self.bad, self.resting = float("inf"), 0, 0

    @torch.no_grad()
    def update(self, gradients: Sequence[Tensor]) -> None:
        """One step of Adam or AdamW."""
        plan, rate = self.plan, self.plan.rate(self.step) * self.factor
        self.step += 1
        norm = torch.stack([g.square().sum() for g in gradients]).sum().sqrt()
        scale = 1.0 if plan.clip is None else min(1.0, plan.clip / (float(norm) + 1e-6))
        for w, g, m, v in zip(self.weights, gradients, self.first, self.second, strict=True):
            g = g * scale + (0.0 if plan.decoupled else plan.decay) * w
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            if plan.decoupled:
                w -= rate * plan.decay * w
            unbiased = (v / (1 - 0.999**self.step)).sqrt() + 1e-8
            w -= rate * m / (1 - 0.9**self.step) / unbiased
        self.move_average()

    def move_average(self) -> None:
        """The moving average of all weights."""
        if self.plan.ema is None:
            return
        if self.average is None:
            self.average = copy.deepcopy(self.model)
        for mean, w in zip(self.average.parameters(), self.model.parameters(), strict=True):
            mean += (1.0 - self.plan.ema) * (w - mean)

    @torch.no_grad()
    def validate(self, batches: Sequence[Batch]) -> float:
        """The mean loss of the averaged model, and what the plateau makes of it."""
        model = (self.average or self.model).eval()
        loss = sum(float(self.loss_of(model, batch)) for batch in batches) / len(batches)
        self.model.train()
        if self.plan.plateau is None:
            return loss
        factor, patience, cooldown = self.plan.plateau
        if loss < self.best * (1.0 - 1e-4):
            self.best, self.bad = loss, 0
        else:
            self.bad += 1
        if self.resting:
            self.resting, self.bad = self.resting - 1, 0
        if self.bad > patience:
            self.factor, self.resting, self.bad = self.factor * factor, cooldown, 0
        return loss


def reference_curve(
    model: nn.Module,
    loss_of: LossOf,
    batches: Sequence[Batch],
    checks: Sequence[Batch],
    plan: Plan,
) -> Curve:
    """Train a copy of a model by hand.

    Args:
        model: as it starts.
        loss_of: the paper's loss, written out.
        batches: one after the other.
        checks: for every validation.
        plan: the rest.
    """
    loop = WrittenOut(copy.deepcopy(model).train(), loss_of, plan)
    curve = Curve([], [], [], 0.0)
    sums = [torch.zeros_like(w) for w in loop.weights]
    for index, batch in enumerate(batches):
        loss = loss_of(loop.model, batch)
        for total, gradient in zip(sums, torch.autograd.grad(loss, loop.weights), strict=True):
            total += gradient / plan.passes
        if (index + 1) % plan.passes == 0:
            loop.update(sums)
            sums = [torch.zeros_like(w) for w in loop.weights]
        curve.losses.append(loss.item())
        curve.norms.append(norm_of(loop.model))
        if (index + 1) % plan.epoch == 0:
            curve.validated.append(loop.validate(checks))
    curve.average = norm_of(loop.average or loop.model)
    return curve


def norm_of(model: nn.Module) -> float:
    """The norm of all weights."""
    return float(torch.stack([p.detach().square().sum() for p in model.parameters()]).sum().sqrt())


class _Recorder(Callback):
    """What happens in a run of the Trainer."""

    def __init__(self, passes: int) -> None:
        self.passes, self.curve = passes, Curve([], [], [], 0.0)

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
        self.curve.losses.append(float(outputs["loss"]) * self.passes)
        self.curve.norms.append(norm_of(module.model))

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        self.curve.validated.append(float(trainer.callback_metrics["val/loss"]))

    def on_train_end(self, trainer: Any, module: Any) -> None:
        self.curve.average = norm_of(module.model)  # Lightning has put the average there


class _Batches(pl.LightningDataModule):
    def __init__(self, batches: Sequence[Batch], checks: Sequence[Batch], epoch: int) -> None:
        super().__init__()
        self.batches, self.checks, self.epoch = batches, checks, epoch

    def train_dataloader(self) -> Any:
        """The batches of the epoch that begins."""
        assert self.trainer is not None
        start = self.trainer.current_epoch * self.epoch
        return _one_by_one(self.batches[start : start + self.epoch])

    def val_dataloader(self) -> Any:
        return _one_by_one(self.checks)


def _one_by_one(batches: Sequence[Batch]) -> Any:
    dataset: Any = list(batches)
    return torch.utils.data.DataLoader(dataset, batch_size=None)


def our_curve(module: Any, batches: Sequence[Batch], checks: Sequence[Batch], plan: Plan) -> Curve:
    """Train with a paper's ``Training`` and the callbacks of ``fit``."""
    recorder = _Recorder(plan.passes)
    averages = [] if plan.ema is None else [EMAWeightAveraging(decay=plan.ema)]
    trainer = pl.Trainer(
        max_epochs=len(batches) // plan.epoch,
        accelerator="cpu",
        gradient_clip_val=plan.clip,
        accumulate_grad_batches=plan.passes,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        callbacks=[*averages, recorder],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Lightning, about lists as loaders and torch 2.13
        trainer.fit(module, _Batches(batches, checks, plan.epoch))
    return recorder.curve


def check_same_curve(ours: Curve, theirs: Curve, batches: int) -> None:
    """Within 1e-4 everywhere, and a curve that goes down."""
    assert len(ours.losses) == len(theirs.losses) == len(ours.norms) == batches
    assert ours.losses == pytest.approx(theirs.losses, rel=1e-4)
    assert ours.norms == pytest.approx(theirs.norms, rel=1e-4)
    assert ours.validated == pytest.approx(theirs.validated, rel=1e-4) and ours.validated
    assert ours.average == pytest.approx(theirs.average, rel=1e-4)
    assert sum(theirs.losses[-10:]) < sum(theirs.losses[:10])
