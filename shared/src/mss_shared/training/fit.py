"""Training: the only place that builds a Trainer.

A run folder holds ``recipe.yaml``, ``begun.json``, ``metrics.csv``, ``last.ckpt`` (to resume),
TensorBoard events, and at the end ``model.safetensors`` and ``run.json``.
"""

from __future__ import annotations

import importlib.util
import logging
import signal
import time
import warnings
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from torch import nn

from mss_shared import console
from mss_shared.datasets import Dataset
from mss_shared.datasets.decoded import decode_flac
from mss_shared.paper import AnyPaper
from mss_shared.recipe import LoadedRecipe
from mss_shared.recipe_sections import LoopConfig
from mss_shared.training.begun import FRESH, Begun, Start, read_begun
from mss_shared.training.callbacks import (
    Checkpoints,
    EarlyStop,
    MetricsFile,
    Plateau,
    Progress,
    SeedEpoch,
    Stoppable,
    say_missing,
)
from mss_shared.training.checks import check_data, check_loop, check_machine
from mss_shared.training.criteria import KEEP, MONITOR
from mss_shared.training.data import Examples
from mss_shared.training.endings import end_together, ends_in_time, plain_endings
from mss_shared.training.enough_memory import DEV_EXAMPLES, check_memory, shrink_batch
from mss_shared.training.finite import Finite
from mss_shared.training.heard import Listener
from mss_shared.training.heir import Heir, Parent
from mss_shared.training.module import EpochMeans
from mss_shared.training.outcome import write_outcome
from mss_shared.training.random_mixes import default_examples
from mss_shared.training.restoring import CheckedRestore, restoring
from mss_shared.training.run_folder import (
    BesideTarget,
    RunFolder,
    finished_epochs,
    load_weights,
    owned,
)
from mss_shared.training.song_sdr import SongSdr
from mss_shared.training.songs import check_dataset, describe_training, fit_songs
from mss_shared.training.start import FrozenNorms, freeze, load_start
from mss_shared.training.steps import StepCheckpoints, find_resumable, read_within


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


def fit(
    paper: AnyPaper,
    loaded: LoadedRecipe[Any],
    dataset: Dataset,
    out: Path,
    machine: Machine,
    *,
    seed: int | None = None,
    resume: bool = False,
    start: Start = FRESH,
    parent: Parent | None = None,
    command: str = "",
) -> Path:
    """Train a model from a recipe.

    Args:
        paper: the package.
        loaded: its recipe.
        dataset: training and validation tracks.
        out: the run folder; must hold no run unless ``resume``.
        machine: devices, workers, micro-batch.
        seed: overrides the recipe's.
        resume: resume from ``last.ckpt``, with bit-identical results to an uninterrupted run.
        start: what to start from; anything but fresh weights makes the run not verbatim.
        parent: the run that ``start`` says to go on from; ``loaded`` is its recipe.
        command: what the user typed, for the record.

    Returns:
        The run folder.

    Raises:
        ValueError: if a value of the recipe's training section is invalid, the data set does not
            fit the recipe, a training track is also a test track, the folder holds another run,
            the micro-batch does not divide the batch, or a step does not fit into memory.
    """
    if machine.dev_mode or start != FRESH:
        loaded = replace(loaded, verbatim=False)
    if machine.dev_mode:
        loaded = shrink_batch(loaded, machine.micro_batch or DEV_EXAMPLES, devices_of(machine))
    recipe, loop = loaded.recipe, loaded.recipe.training
    check_machine(machine)
    check_loop(loop)
    seed = loop.seed if seed is None else seed
    pl.seed_everything(seed, verbose=False)
    model = paper.build_model(recipe)
    check_data(recipe.data, model.sample_rate)
    dataset, drawn = fit_songs(dataset, recipe, model)
    songs = check_dataset(dataset, drawn.data.stems, model)
    read = _decode(dataset) if machine.decode_flac else dataset
    examples = _examples(paper, drawn, read, model, seed, machine.workers)
    checkpoints = _checkpoints(out, loop, machine)
    callbacks = _callbacks(out, loop, seed, examples, parent)
    if loop.val_sdr_seconds is not None:
        tracks = dataset.valid[: 1 if machine.dev_mode else None]
        callbacks.insert(0, SongSdr(tracks, model, recipe.inference, loop.val_sdr_seconds))
    if parent is not None:
        callbacks.append(Heir(parent, out, checkpoints))
    steps = StepCheckpoints(out, machine.save_minutes)
    callbacks += [checkpoints, steps, CheckedRestore()]
    trainer = _trainer(out, loop, machine, model, callbacks)
    end_together(trainer)
    check_memory(paper, drawn, examples.sets, machine, trainer)
    folder = RunFolder(
        out, recipe, dataset.fingerprint, seed, start=start, dev_mode=machine.dev_mode
    )
    with owned(out) if trainer.is_global_zero else nullcontext():
        folder.check(resume)
        say = console.say if trainer.is_global_zero else _say_nothing
        last = find_resumable(folder, trainer) if resume else None
        begun = None if last is None else read_begun(out)
        inherited = None
        if last is None and parent is None:
            trainer.num_sanity_val_steps = float("inf") if machine.validate_first else 0
            paper.prepare(model, dataset, drawn)
            inherited = load_start(paper, model, start, say)
        elif last is None and parent is not None:
            last, inherited = parent.checkpoint, parent.inherited(start)
        elif last is not None:
            say_missing(out, finished_epochs(last))
        if last is not None:
            examples.first_epoch = finished_epochs(last)
            examples.first_batch = (read_within(last) or {"batches": 0})["batches"]
        if begun is None:
            training = describe_training(dataset, songs, seed, inherited)
            frozen = start.freeze if parent is None else parent.frozen
            begun = Begun(loaded.name, start.asked(), frozen, training)
        freeze(model, begun.frozen, say)
        began = time.monotonic()
        module = paper.build_training(model, recipe)
        if machine.checkpoint_activations:
            model.activation_checkpointing = True
        if trainer.is_global_zero:
            folder.begin(loaded.text, begun)
        _run(trainer, module, examples, last)
        if trainer.is_global_zero:
            files, selection = checkpoints.choose(loop, trainer.current_epoch - 1)
            load_weights(module, [out / name for name in files])
            record = {**begun.training, "steps": trainer.global_step}
            seconds = time.monotonic() - began
            write_outcome(out, paper, loaded, model, record, selection, seconds, command)
            console.say(f"model and run.json: {out}")
    return out


def _decode(dataset: Dataset) -> Dataset:
    with console.progress("decoding flac files") as progress:
        return decode_flac(dataset, progress=progress)


def _say_nothing(line: str) -> None:
    """Of the devices whose lines the first one says."""


def _examples(
    paper: AnyPaper, recipe: Any, dataset: Dataset, model: Any, seed: int, workers: int | None
) -> Examples:
    """The paper's examples of a data set."""
    listener = Listener(dataset)
    sets = default_examples(listener.dataset, recipe.data, model.stems, seed)
    sets = paper.choose_examples(sets, listener.dataset, recipe, model, seed)
    return Examples(sets, listener, recipe.training.batch, workers)


def _run(trainer: pl.Trainer, module: Any, examples: Any, checkpoint: Path | None) -> None:
    """Run the training loop, from the start or from a checkpoint."""
    with restoring(checkpoint), ends_in_time(), plain_endings(trainer), warnings.catch_warnings():
        # Lightning 2.6 calls a function that torch 2.13 deprecates; users can do nothing about it.
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
        # Ours skips the examples of the epoch that were drawn.
        warnings.filterwarnings("ignore", ".*your dataloader is not resumable", UserWarning)
        # A run may go on from another one without its early stop.
        warnings.filterwarnings("ignore", ".*callbacks used to create the checkpoint", UserWarning)
        trainer.fit(
            module,
            examples,
            ckpt_path=None if checkpoint is None else str(checkpoint),
            weights_only=None if checkpoint is None else True,
        )


def _trainer(
    out: Path,
    loop: LoopConfig,
    machine: Machine,
    model: nn.Module,
    callbacks: list[Callback],
) -> pl.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
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


def _callbacks(
    out: Path, loop: LoopConfig, seed: int, examples: Examples, parent: Parent | None
) -> list[Callback]:
    """In the order in which they act; checkpoints come after them."""
    earlier = None if parent is None else parent.folder / "metrics.csv"
    callbacks = [
        SeedEpoch(seed),
        Stoppable(signal.getsignal(signal.SIGTERM)),
        EpochMeans(examples),
        Finite(examples),
        MetricsFile(out / "metrics.csv", earlier),
        Progress(),
        Plateau(MONITOR[loop.monitor]),
        FrozenNorms(),
    ]
    if loop.ema_decay is not None:
        callbacks.append(EMAWeightAveraging(decay=loop.ema_decay))
    if loop.early_stop_epochs is not None:
        callbacks.append(EarlyStop.of(loop))
    return callbacks


def _checkpoints(out: Path, loop: LoopConfig, machine: Machine) -> Checkpoints:
    averaged = loop.average_best if loop.average_best > 1 else 0
    keep_best = loop.keep != "last"
    return Checkpoints(out, KEEP[loop.keep], keep_best, max(machine.save_top_k, averaged))


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
            f"a batch of {batch} can't be made of {world} devices x {micro} examples: choose "
            f"--micro_batch so that devices times examples divides {batch}"
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


def _precision(precision: str, device: str) -> Any:
    """The recipe's precision; 32-true on a CPU, where half precision is only slower."""
    if on_cpu(device) and precision != "32-true":
        console.say(f"precision {precision} needs a GPU: training in 32-true")
        return "32-true"
    return precision
