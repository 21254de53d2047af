"""The Trainer of a run: devices, precision, micro-batches, loggers, where averages are kept."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from torch import nn

from mss_shared import console
from mss_shared.recipe_sections import LoopConfig
from mss_shared.training.run_folder import BesideTarget


@dataclass(frozen=True)
class Machine:
    """Settings that depend on the machine and are in no recipe.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        devices: number of devices; 0 for one on the CPU, all elsewhere.
        num_nodes: number of machines, started by torchrun or SLURM as Lightning documents.
        workers: data-loading processes; None for 0 on the CPU, up to 8 per device elsewhere.
        micro_batch: examples per device and forward pass; None for the device's share of a batch.
        logger: ``tensorboard`` or ``wandb``, besides ``metrics.csv``.
        save_top_k: also keep the checkpoints of this many best epochs.
        save_minutes: also write a checkpoint within an epoch every so often; None for never.
        validate_first: also validate before the first step; the weights to start from are not kept.
        dev_mode: one epoch of one training and one validation batch, both small, to check the
            whole pipeline; such a run is not verbatim.
        deterministic: use only deterministic operations; an error where there is none.
        checkpoint_activations: compute activations again for gradients, in less memory.
        ignore_memory: begin even if a step seems not to fit into memory.
        decode_flac: decode flac files to the user's cache first, so that they are read faster.
    """

    device: str = "auto"
    devices: int = 0
    num_nodes: int = 1
    workers: int | None = None
    micro_batch: int | None = None
    logger: str = "tensorboard"
    save_top_k: int = 0
    save_minutes: float | None = None
    validate_first: bool = False
    dev_mode: bool = False
    deterministic: bool = False
    checkpoint_activations: bool = False
    ignore_memory: bool = True
    decode_flac: bool = False


def build_trainer(
    out: Path,
    loop: LoopConfig,
    machine: Machine,
    model: nn.Module,
    callbacks: list[Callback],
) -> pl.Trainer:
    """The Trainer of a run.

    Args:
        out: the run folder.
        loop: the recipe's settings.
        machine: devices, micro-batch, logger.
        model: to be trained.
        callbacks: in the order in which they act.

    Raises:
        ValueError: if the machine has no such devices, the micro-batch does not divide the batch,
            or the logger can't be started.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    limit = 1 if machine.dev_mode else None
    trainer = _place(
        machine,
        max_epochs=1 if machine.dev_mode else loop.epochs,
        limit_train_batches=limit,
        limit_val_batches=limit,
        check_val_every_n_epoch=1 if machine.dev_mode else loop.validate_every_epochs,
        gradient_clip_val=loop.clip_norm,
        precision=_precision(loop.precision, machine.device),
        logger=_start(find_logger(machine.logger, out)),
        callbacks=callbacks,
    )
    trainer.accumulate_grad_batches = accumulation(
        loop.batch,
        machine.micro_batch,
        trainer.world_size,
        model,
        synchronised=not on_cpu(machine.device),
    )
    return trainer


def _place(machine: Machine, **settings: Any) -> pl.Trainer:
    """A Trainer with these settings on the machine's devices."""
    device = {"cuda": "gpu"}.get(machine.device, machine.device)
    try:
        return pl.Trainer(
            **settings,
            accelerator=device,
            devices=machine.devices or (1 if device == "cpu" else "auto"),
            num_nodes=machine.num_nodes,
            deterministic=machine.deterministic or None,
            # Batch norm statistics over all devices; torch supports it only on GPUs.
            sync_batchnorm=not on_cpu(machine.device),
            plugins=[BesideTarget()],
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except MisconfigurationException as error:
        raise ValueError(
            f"--device {machine.device} and --devices {machine.devices} do not fit this machine "
            f"({' '.join(str(error).split()).rstrip('.!')}): choose what is there"
        ) from None


class MovingAverage(EMAWeightAveraging):
    """Lightning's moving average of the weights, kept on the device that trains.

    By default Lightning keeps it where the weights are before they are moved to that device: every
    step would copy them to the CPU's memory and average them there.

    Args:
        decay: share of the average that remains after a step.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(decay=decay)

    @property
    def state_key(self) -> str:
        """The name in checkpoints, Lightning's own."""
        return EMAWeightAveraging.__qualname__

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Begin with the module's weights."""
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)


def find_logger(name: str, out: Path) -> Logger:
    """The logger by name; wandb is imported only on request."""
    if name == "tensorboard":
        return TensorBoardLogger(out, name="", version="tensorboard")
    if importlib.util.find_spec("wandb") is None:
        raise ValueError("wandb is not installed: pip install wandb, or use --logger tensorboard")
    return WandbLogger(save_dir=out, name=out.name)


def _start(logger: Any) -> Logger:
    """Log in now, where that is necessary: later it would fail in the middle of a run."""
    if isinstance(logger, TensorBoardLogger):
        return logger
    try:
        logger.experiment  # noqa: B018  # starts on first use
    except Exception as error:  # of wandb's own classes
        raise ValueError(
            f"wandb does not start ({' '.join(str(error).split()).rstrip('.')}): log in with "
            f"wandb login, or use --logger tensorboard"
        ) from None
    started: Logger = logger
    return started


def accumulation(
    batch: int, micro_batch: int | None, world: int, model: nn.Module, synchronised: bool = False
) -> int:
    """Forward passes per optimizer step, so that any machine keeps the recipe's batch.

    ``synchronised`` means that batch norm computes its statistics over all devices.

    Raises:
        ValueError: if micro-batches do not add up to the batch, or batch norm forbids them.
    """
    micro = max(1, batch // world) if micro_batch is None else micro_batch
    if micro < 1 or batch % (micro * world):
        raise ValueError(
            f"a batch of {batch} can't be made of {console.count(world, 'device')} with "
            f"{console.count(micro, 'example')} at a time: choose --micro_batch so that devices "
            f"times examples divides {batch}"
        )
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    together = micro * world if synchronised else micro
    if together < batch and any(isinstance(part, norms) for part in model.modules()):
        advice = "no" if synchronised else "one device and no"
        raise ValueError(
            f"the model has batch norm and {together} examples at a time would change its "
            f"statistics of {batch}: use {advice} --micro_batch; --checkpoint_activations saves "
            f"memory too"
        )
    return batch // (micro * world)


def devices_of(machine: Machine) -> int:
    """How many devices train, over all machines."""
    here = machine.devices or (1 if on_cpu(machine.device) else max(1, torch.cuda.device_count()))
    return here * machine.num_nodes


def on_cpu(device: str) -> bool:
    """Whether training runs on the CPU, by request or because there is no other device."""
    return device == "cpu" or (device == "auto" and not torch.cuda.is_available())


@contextmanager
def algorithms_kept() -> Iterator[None]:
    """Undo what a Trainer with ``deterministic`` sets for the whole process."""
    before = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warns)


def _precision(precision: str, device: str) -> Any:
    """The recipe's precision; 32-true on a CPU, where half precision is only slower."""
    if on_cpu(device) and precision != "32-true":
        console.say(f"precision {precision} needs a GPU: training in 32-true")
        return "32-true"
    return precision
