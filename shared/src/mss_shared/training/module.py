"""The base class of all papers' training: its means are over the examples of all devices."""

from __future__ import annotations

from typing import cast

import lightning as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from mss_shared.training.data import Examples

# The sum of a value over examples, and their number, by name.
_Sums = dict[str, tuple[Tensor, int]]


class TrainingModule(pl.LightningModule):
    """A LightningModule with ``log_mean``, for losses that must not depend on the machine.

    The means of Lightning's ``log`` round the number of examples where devices have different
    shares of them, and those of training are the first device's alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sums: dict[bool, _Sums] = {True: {}, False: {}}  # of training and validation

    def log_mean(self, name: str, value: Tensor, examples: int) -> None:
        """Log a scalar, the mean over this many examples, for the mean of the epoch.

        In training it is also logged for the step, as ``<name>_step``, of this device alone.
        """
        value = value.detach()
        if value.dtype not in (torch.float32, torch.float64):
            value = value.float()
        sums = self._sums[self.trainer.training]
        total, count = sums.get(name, (value.new_zeros(()), 0))
        sums[name] = (total + value * examples, count + examples)
        if self.trainer.training:
            self.log(f"{name}_step", value, on_step=True, on_epoch=False, batch_size=examples)

    def log_epoch(self, *, counts: bool = True) -> None:
        """Log the means over all devices since the last call, and begin new ones.

        Args:
            counts: whether this device's examples count; all devices must have had some.
        """
        stage = self.trainer.training
        sums, self._sums[stage] = self._sums[stage], {}
        for name, (total, count) in self._over_devices(sums, counts).items():
            self.log(name, total / count, batch_size=1, sync_dist=True)

    @property
    def sums(self) -> _Sums:
        """Those of the training epoch so far, on this device."""
        return self._sums[True]

    @sums.setter
    def sums(self, sums: _Sums) -> None:
        self._sums[True] = sums

    def on_validation_epoch_end(self) -> None:
        """Log the means under a Trainer without ``EpochMeans``."""
        if self._sums[False]:
            self.log_epoch()

    def on_train_epoch_end(self) -> None:
        """Log the means under a Trainer without ``EpochMeans``."""
        if self._sums[True]:
            self.log_epoch()

    def _over_devices(self, sums: _Sums, counts: bool) -> _Sums:
        """The sums of all devices, added in double precision; those of one device as they are."""
        if self.trainer.world_size == 1 or not sums:
            return sums
        pairs = [[float(total), float(count)] for total, count in sums.values()]
        table = torch.tensor(pairs, dtype=torch.float64, device=self.device)
        if not counts:
            table.zero_()
        table = self.trainer.strategy.reduce(table, reduce_op="sum")
        return {
            name: (total.to(torch.float32), int(count))
            for name, (total, count) in zip(sums, table, strict=True)
        }


class EpochMeans(Callback):
    """Logs the means of a ``TrainingModule`` when an epoch ends, before other callbacks use them.

    Args:
        examples: the data, which knows whose validation examples count.
    """

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the means of the validation."""
        cast(TrainingModule, pl_module).log_epoch(counts=self.examples.validates)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the means of the training epoch."""
        cast(TrainingModule, pl_module).log_epoch()
