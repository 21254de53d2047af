"""Checkpoints within an epoch, from which a run goes on with the very next step."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import lightning as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from mss_shared import console
from mss_shared.training.module import TrainingModule
from mss_shared.training.run_folder import STEP, RunFolder, damaged, read_checkpoint

_KEY = "within_epoch"  # of checkpoints


class StepCheckpoints(Callback):
    """Writes ``step.ckpt`` every so many minutes, between optimizer steps; removed after the epoch.

    Beside Lightning's state it holds, for every device, the states of the random generators and
    the sums of the means that are logged after the epoch. Comes last among the callbacks.

    Args:
        folder: of the run.
        minutes: from one to the next; None for none. 0.0 is one after every step.
    """

    def __init__(self, folder: Path, minutes: float | None) -> None:
        self.path = folder / STEP
        self.minutes = minutes
        self.saved = time.monotonic()
        self.saving = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore this device's state, if the run goes on within an epoch."""
        within = None if trainer.ckpt_path is None else read_within(Path(str(trainer.ckpt_path)))
        if within is None:
            return
        try:
            _restore(within["devices"][trainer.global_rank], cast(TrainingModule, pl_module))
        except Exception as error:  # numpy, torch and Python each refuse a state in their own way
            raise damaged(Path(str(trainer.ckpt_path)), error) from None

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save when it is time and a step is complete, but not after the last one of an epoch."""
        # Otherwise Lightning steps no plateau schedule after an epoch within which it restarted.
        trainer.fit_loop.restarting = False
        done = batch_idx + 1
        within = done % trainer.accumulate_grad_batches == 0 and done < trainer.num_training_batches
        if self.minutes is None or not within:
            return
        due = time.monotonic() - self.saved >= 60.0 * self.minutes
        if trainer.strategy.reduce_boolean_decision(due, all=False):
            self.saving = True
            trainer.save_checkpoint(self.path)
            self.saving, self.saved = False, time.monotonic()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what Lightning leaves out to a checkpoint within an epoch."""
        if not self.saving:
            return
        devices: list[Any] = [_collect(cast(TrainingModule, pl_module))]
        if trainer.world_size > 1:
            own, devices = devices[0], [None] * trainer.world_size
            torch.distributed.all_gather_object(devices, own)
        checkpoint[_KEY] = {
            "batches": trainer.fit_loop.batch_idx + 1,
            "accumulated": trainer.accumulate_grad_batches,
            "devices": devices,
        }

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove the file: there is a newer checkpoint."""
        if trainer.is_global_zero:
            self.path.unlink(missing_ok=True)


def read_within(path: Path) -> Mapping[str, Any] | None:
    """What a checkpoint within an epoch holds beside Lightning's state; None for any other.

    Raises:
        ValueError: if it is damaged.
    """
    within: Mapping[str, Any] | None = read_checkpoint(path).get(_KEY)
    if within is None:
        return None
    try:
        counts, devices = (within["batches"], within["accumulated"]), within["devices"]
        if not all(type(count) is int and 0 < count < 2**53 for count in counts):
            raise TypeError("its counters are no numbers")
        if not (isinstance(devices, list) and all(isinstance(each, Mapping) for each in devices)):
            raise TypeError("its devices have no states")
    except (LookupError, TypeError) as error:
        raise damaged(path, error) from None
    return within


def find_resumable(folder: RunFolder, trainer: pl.Trainer) -> Path | None:
    """The latest checkpoint of a run from which these devices can go on; None if there is none."""
    for path in folder.find_latest():
        within = read_within(path)
        if within is None:
            return path
        devices = trainer.world_size, trainer.accumulate_grad_batches
        if (len(within["devices"]), within["accumulated"]) == devices:
            return path
        console.say(
            f"{path} is of other --devices or another --micro_batch: resuming after the last "
            f"complete epoch"
        )
    return None


def _collect(module: TrainingModule) -> dict[str, Any]:
    """The state of this device, of plain types and tensors."""
    kind, keys, *rest = np.random.get_state()
    states = {
        "torch": torch.get_rng_state(),
        "numpy": (kind, torch.from_numpy(np.asarray(keys, np.int64)), *rest),
        "python": random.getstate(),
        "sums": {name: (total.cpu(), count) for name, (total, count) in module.sums.items()},
    }
    if module.device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(module.device)
    return states


def _restore(state: Mapping[str, Any], module: TrainingModule) -> None:
    torch.set_rng_state(state["torch"])
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, cast(Tensor, keys).numpy().astype(np.uint32), *rest))
    random.setstate(state["python"])
    if "cuda" in state and module.device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], module.device)
    module.sums = {
        name: (total.to(module.device), count) for name, (total, count) in state["sums"].items()
    }
