"""Training: the only place that builds a Trainer.

A run folder holds ``recipe.yaml``, ``metrics.csv``, ``last.ckpt`` (to resume), TensorBoard events,
and at the end ``model.safetensors`` and ``run.json``.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning as pl
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from torch import nn

from mss_shared import atomic, console, provenance
from mss_shared.checkpoints.checkpoint import save_model
from mss_shared.checkpoints.digest import weights_digest
from mss_shared.datasets import Dataset
from mss_shared.datasets.content import Content, describe_content
from mss_shared.datasets.tracks import check_fits
from mss_shared.paper import AnyPaper
from mss_shared.recipe import LoadedRecipe, earlier_digest, recipe_digest
from mss_shared.recipe_sections import LoopConfig
from mss_shared.training.callbacks import Checkpoints, EarlyStop, MetricsFile, Progress, SeedEpoch
from mss_shared.training.data import Examples
from mss_shared.training.random_mixes import default_examples

_PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


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
        save_top_k: also keep the weights of this many epochs with the lowest validation loss.
        dev_mode: one epoch of one training and one validation batch, to check the whole pipeline;
            such a run is not verbatim.
        deterministic: use only deterministic operations; an error where there is none.
    """

    device: str = "auto"
    devices: int = 0
    num_nodes: int = 1
    workers: int | None = None
    micro_batch: int | None = None
    logger: str = "tensorboard"
    save_top_k: int = 0
    dev_mode: bool = False
    deterministic: bool = False


def fit(
    paper: AnyPaper,
    loaded: LoadedRecipe[Any],
    dataset: Dataset,
    out: Path,
    machine: Machine,
    *,
    seed: int | None = None,
    resume: bool = False,
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
        command: what the user typed, for the record.

    Returns:
        The run folder.

    Raises:
        ValueError: if a value of the recipe's training section is invalid, the data set does not
            fit the recipe, a training track is also a test track, the folder holds another run,
            or the micro-batch does not divide the batch.
    """
    if machine.dev_mode:
        loaded = replace(loaded, verbatim=False)
    recipe, loop = loaded.recipe, loaded.recipe.training
    check_loop(loop)
    seed = loop.seed if seed is None else seed
    identity = _identity(recipe_digest(recipe), dataset, seed)
    _check_folder(out, (identity, _identity(earlier_digest(recipe), dataset, seed)), resume)
    pl.seed_everything(seed, verbose=False)
    model = paper.build_model(recipe)
    content = check_dataset(dataset, recipe.data.stems, model)
    last = out / "last.ckpt"
    if not (resume and last.is_file()):
        paper.prepare(model, dataset, recipe)
    module = paper.build_training(model, recipe)
    atomic.write_text(out / "recipe.digest", identity)
    atomic.write_text(out / "recipe.yaml", loaded.text)
    began = time.monotonic()
    trainer = _trainer(out, loop, machine, model, seed)
    sets = default_examples(dataset, recipe.data, model.stems, seed)
    sets = paper.choose_examples(sets, dataset, recipe, model, seed)
    examples = Examples(sets, loop.batch, machine.workers)
    _run(trainer, module, examples, last if resume and last.is_file() else None)
    if trainer.is_global_zero:
        _load_weights(module, out / ("best.ckpt" if loop.keep == "best" else "last.ckpt"))
        training = describe_training(dataset, content, trainer.global_step, seed)
        _finish(out, paper, loaded, model, training, time.monotonic() - began, command)
    return out


def _run(trainer: pl.Trainer, module: Any, examples: Any, checkpoint: Path | None) -> None:
    """Run the training loop, from the start or from a checkpoint."""
    with _interruptible(trainer), warnings.catch_warnings():
        # Lightning 2.6 calls a function that torch 2.13 deprecates; users can do nothing about it.
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
        trainer.fit(
            module,
            examples,
            ckpt_path=None if checkpoint is None else str(checkpoint),
            weights_only=None if checkpoint is None else True,
        )


def check_loop(loop: LoopConfig) -> None:
    """Raise ValueError for an empty batch, no epochs, or an unknown precision or ``keep``."""
    for name in ("batch", "epochs"):
        if getattr(loop, name) < 1:
            raise ValueError(f"training.{name} is {getattr(loop, name)}: give at least 1")
    for name, choices in (("precision", _PRECISIONS), ("keep", ("best", "last"))):
        if getattr(loop, name) not in choices:
            raise ValueError(
                f"training.{name} is {getattr(loop, name)!r}: choose from {', '.join(choices)}"
            )


def check_dataset(dataset: Dataset, stems: tuple[str, ...], model: Any) -> Content:
    """Raise ValueError unless all tracks have the stems, rate and channels, and none is a test.

    Returns:
        The content of the training and validation tracks.
    """
    tracks = (*dataset.split("train"), *dataset.split("valid"))
    for track in tracks:
        check_fits(track, stems, model.sample_rate, model.channels)
    content, tests = describe_content(tracks), describe_content(dataset.test)
    heard = {digest for digests in tests.values() for digest in digests}
    for name, digests in content.items():
        if name in tests or heard.intersection(digests):
            split = "training" if name in {track.name for track in dataset.train} else "validation"
            raise ValueError(
                f"{split} track {name} is also a test track of {dataset.root}: remove one of them"
            )
    return content


def describe_training(dataset: Dataset, content: Content, steps: int, seed: int) -> dict[str, Any]:
    """The record of its training in a weights file, by which its scores can be trusted.

    Args:
        dataset: training and validation tracks.
        content: theirs, by name.
        steps: of the optimizer.
        seed: of the run.
    """
    return {
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "tracks": [track.name for track in dataset.train],
        "validation": [track.name for track in dataset.valid],
        "content": content,
        "steps": steps,
        "seed": seed,
    }


def _identity(digest: str, dataset: Dataset, seed: int) -> str:
    """What identifies a run: the digests of recipe and data, and the seed, one per line."""
    return f"{digest}\n{dataset.fingerprint}\n{seed}\n"


def _check_folder(out: Path, identities: tuple[str, ...], resume: bool) -> None:
    digest = out / "recipe.digest"
    if not resume and (out / "metrics.csv").exists():
        raise ValueError(f"{out} already holds a run: continue it with --resume, or choose --out")
    if resume and digest.is_file() and digest.read_text(encoding="utf-8") not in identities:
        raise ValueError(
            f"{out} holds a run of another recipe, data set or seed: resume it with its own"
        )


def _trainer(
    out: Path, loop: LoopConfig, machine: Machine, model: nn.Module, seed: int
) -> pl.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    accelerator = {"auto": "auto", "cuda": "gpu"}.get(machine.device, machine.device)
    callbacks: list[Callback] = [SeedEpoch(seed), MetricsFile(out / "metrics.csv"), Progress()]
    if loop.ema_decay is not None:
        callbacks.append(EMAWeightAveraging(decay=loop.ema_decay))
    if loop.early_stop_epochs is not None:
        callbacks.append(EarlyStop(loop.early_stop_epochs))
    callbacks.append(Checkpoints(out, loop.keep == "best", machine.save_top_k))
    limit = 1 if machine.dev_mode else None
    trainer = pl.Trainer(
        accelerator=accelerator,
        devices=machine.devices or "auto" if accelerator != "cpu" else machine.devices or 1,
        num_nodes=machine.num_nodes,
        max_epochs=1 if machine.dev_mode else loop.epochs,
        limit_train_batches=limit,
        limit_val_batches=limit,
        deterministic=machine.deterministic or None,
        # Batch norm statistics over all devices; torch supports it only on GPUs.
        sync_batchnorm=not on_cpu(accelerator),
        gradient_clip_val=loop.clip_norm,
        precision=_precision(loop.precision, accelerator),
        logger=_logger(machine.logger, out),
        callbacks=callbacks,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.accumulate_grad_batches = accumulation(
        loop.batch,
        machine.micro_batch,
        trainer.world_size,
        model,
        synchronised=not on_cpu(accelerator),
    )
    return trainer


def _logger(name: str, out: Path) -> Logger:
    """The logger by name; wandb is imported only on request."""
    if name == "tensorboard":
        return TensorBoardLogger(out, name="", version="tensorboard")
    if importlib.util.find_spec("wandb") is None:
        raise ValueError("wandb is not installed: pip install wandb, or use --logger tensorboard")
    return WandbLogger(save_dir=out, name=out.name)


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
            f"statistics of {batch}: use {advice} --micro_batch"
        )
    return batch // (micro * world)


def on_cpu(accelerator: str) -> bool:
    """Whether training runs on the CPU, by request or because there is no other device."""
    return accelerator == "cpu" or (accelerator == "auto" and not torch.cuda.is_available())


def _precision(precision: str, accelerator: str) -> Any:
    """The recipe's precision; 32-true on a CPU, where half precision is only slower."""
    if on_cpu(accelerator) and precision != "32-true":
        console.say(f"precision {precision} needs a GPU: training in 32-true")
        return "32-true"
    return precision


@contextmanager
def _interruptible(trainer: pl.Trainer) -> Iterator[None]:
    """Raise KeyboardInterrupt on Ctrl-C: Lightning exits with code 1 and ignores it thereafter."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


def _load_weights(module: nn.Module, path: Path) -> None:
    """Load the weights of a checkpoint: their moving average if the recipe has one.

    The module itself is no source for it: Lightning puts the average there only after an epoch,
    and a run that is resumed when it is already complete has no more epochs.
    """
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    module.load_state_dict(state, strict=True)


def _finish(
    out: Path,
    paper: AnyPaper,
    loaded: LoadedRecipe[Any],
    model: Any,
    training: dict[str, Any],
    seconds: float,
    command: str,
) -> None:
    """Write the weights and the record of the run."""
    origin = provenance.describe_origin(command, f"mss-{paper.name.replace('_', '-')}")
    header = {
        "paper": paper.name,
        "recipe": loaded.text,
        "recipe_name": loaded.name,
        "verbatim": json.dumps(loaded.verbatim),
        "leaf_sources": json.dumps(loaded.leaf_sources),
        "stems": json.dumps(model.stems),
        "training": json.dumps(training),
        "origin": json.dumps(origin),
    }
    save_model(out / "model.safetensors", model, header)
    record = {
        "kind": "training",
        "paper": paper.name,
        "recipe": loaded.name,
        "recipe_digest": loaded.digest,
        "verbatim": loaded.verbatim,
        "leaf_sources": loaded.leaf_sources,
        "training": training,
        "parameters": sum(p.numel() for p in model.parameters()),
        "weights_digest": weights_digest(model.state_dict()),
        "seconds": round(seconds, 1),
    }
    provenance.write_record(out, {**record, **origin})
