"""Training: one run, from a recipe and songs to weights and their record.

A run folder holds ``recipe.yaml``, ``begun.json``, ``metrics.csv``, ``last.ckpt`` (to resume),
TensorBoard events, and at the end ``model.safetensors`` and ``run.json``.
"""

from __future__ import annotations

import signal
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning as pl
from lightning.pytorch.callbacks import Callback

from mss_shared import console
from mss_shared.datasets import Dataset
from mss_shared.datasets.decoded import decode_flac
from mss_shared.heap import keep_freed_memory
from mss_shared.paper import AnyPaper
from mss_shared.processes import is_first
from mss_shared.recipe import LoadedRecipe
from mss_shared.recipe_sections import LoopConfig
from mss_shared.stopping import interruptible, stoppable, uninterrupted
from mss_shared.training.begun import FRESH, Begun, Start, read_begun
from mss_shared.training.callbacks import (
    Checkpoints,
    EarlyStop,
    MetricsFile,
    Plateau,
    Progress,
    SeedEpoch,
    Stoppable,
    Stopwatch,
    say_missing,
)
from mss_shared.training.checks import (
    check_data,
    check_inference,
    check_loop,
    check_machine,
    check_seed,
)
from mss_shared.training.criteria import KEEP, MONITOR
from mss_shared.training.data import Examples
from mss_shared.training.endings import end_together, ends_in_time, plain_endings
from mss_shared.training.enough_memory import DEV_EXAMPLES, check_memory, check_model, shrink_batch
from mss_shared.training.finite import Finite
from mss_shared.training.heard import Listener
from mss_shared.training.heir import Heir, Parent
from mss_shared.training.misfits import NO_MODEL, fitting
from mss_shared.training.module import EpochMeans
from mss_shared.training.outcome import write_outcome
from mss_shared.training.random_mixes import default_examples
from mss_shared.training.restoring import CheckedRestore, restoring
from mss_shared.training.run_folder import RunFolder, finished_epochs, load_weights, owned
from mss_shared.training.song_sdr import SongSdr
from mss_shared.training.songs import HeardSongs, check_dataset, describe_training, fit_songs
from mss_shared.training.start import FrozenNorms, freeze, load_start
from mss_shared.training.steps import StepCheckpoints, find_resumable, read_within
from mss_shared.training.trainer import (
    Machine,
    MovingAverage,
    algorithms_kept,
    build_trainer,
    devices_of,
    on_cpu,
)

__all__ = ["Machine", "fit"]


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
        resume: resume from ``last.ckpt``, with bit-identical results to an uninterrupted run; one
            that is complete is left as it is.
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
    with console.silent(not is_first()), stoppable(), algorithms_kept():
        if machine.dev_mode or start != FRESH:
            loaded = replace(loaded, verbatim=False)
        if machine.dev_mode:
            each = machine.micro_batch or DEV_EXAMPLES
            loaded = shrink_batch(loaded, each, devices_of(machine))
        check_machine(machine)
        check_loop(loaded.recipe.training)
        seed = loaded.recipe.training.seed if seed is None else seed
        check_seed(seed)
        job = _prepare(paper, loaded, dataset, machine, seed)
        run = _set_up(job, out, parent)
        fingerprint, dev_mode = job.dataset.fingerprint, machine.dev_mode
        folder = RunFolder(out, loaded.recipe, fingerprint, seed, start=start, dev_mode=dev_mode)
        held = owned(out) if run.trainer.is_global_zero else nullcontext()
        with uninterrupted(), held, interruptible():
            folder.check(resume)
            if resume and folder.is_complete():
                console.say(f"the run in {out} is complete: there is nothing to train")
                return out
            begun, last = _begin(job, run, folder, start, parent, resume)
            _train(job, run, folder, begun, last, command)
    return out


@dataclass(frozen=True)
class _Job:
    """What is trained on what.

    Attributes:
        paper, loaded, machine, seed: as given.
        model: not yet trained.
        drawn: the recipe with the names of the stems alone.
        dataset: with the stems of the recipe.
        songs: what they sound like.
        examples: of them.
    """

    paper: AnyPaper
    loaded: LoadedRecipe[Any]
    machine: Machine
    seed: int
    model: Any
    drawn: Any
    dataset: Dataset
    songs: HeardSongs
    examples: Examples


@dataclass(frozen=True)
class _Run:
    """The loop and those of its callbacks that are asked after it."""

    trainer: pl.Trainer
    checkpoints: Checkpoints
    stopwatch: Stopwatch


def _prepare(
    paper: AnyPaper, loaded: LoadedRecipe[Any], dataset: Dataset, machine: Machine, seed: int
) -> _Job:
    """Build the model and the examples, and refuse songs that do not fit or are test songs."""
    recipe = loaded.recipe
    check_model(paper, recipe, ignore_memory=machine.ignore_memory)
    pl.seed_everything(seed, verbose=False)
    with fitting(NO_MODEL):
        model = paper.build_model(recipe)
    check_data(recipe.data, model.sample_rate)
    check_inference(recipe.inference, model.sample_rate)
    dataset, drawn = fit_songs(dataset, recipe, model)
    songs = check_dataset(dataset, drawn.data.stems, model)
    read = _decode(dataset) if machine.decode_flac else dataset
    examples = _examples(paper, drawn, read, model, seed, machine.workers)
    return _Job(paper, loaded, machine, seed, model, drawn, dataset, songs, examples)


def _set_up(job: _Job, out: Path, parent: Parent | None) -> _Run:
    """Build the Trainer, and refuse a step that does not fit into memory."""
    recipe, loop, machine = job.loaded.recipe, job.loaded.recipe.training, job.machine
    checkpoints, stopwatch = _checkpoints(out, loop, machine), Stopwatch(out)
    callbacks = _callbacks(out, loop, job.seed, job.examples, parent)
    if loop.val_sdr_seconds is not None:
        tracks = job.dataset.valid[: 1 if machine.dev_mode else None]
        callbacks.insert(0, SongSdr(tracks, job.model, recipe.inference, loop.val_sdr_seconds))
    if parent is not None:
        callbacks.append(Heir(parent, out, checkpoints))
    callbacks += [
        stopwatch,
        checkpoints,
        StepCheckpoints(out, machine.save_minutes),
        CheckedRestore(),
    ]
    trainer = build_trainer(out, loop, machine, job.model, callbacks)
    if on_cpu(machine.device):
        keep_freed_memory()
    end_together(trainer)
    check_memory(job.paper, job.drawn, job.examples.sets, machine, trainer)
    return _Run(trainer, checkpoints, stopwatch)


def _begin(
    job: _Job, run: _Run, folder: RunFolder, start: Start, parent: Parent | None, resume: bool
) -> tuple[Begun, Path | None]:
    """Bring the model to where the run begins.

    Returns:
        What the run has started from and hears, and the checkpoint from which it goes on.
    """
    last = find_resumable(folder, run.trainer) if resume else None
    if resume and last is None:
        console.say(f"{folder.path} has no checkpoint to resume from: a new run begins")
    begun = None if last is None else read_begun(folder.path)
    inherited = None
    if last is not None:
        say_missing(folder.path, finished_epochs(last))
    elif parent is not None:
        last, inherited = parent.checkpoint, parent.inherited(start)
    else:
        run.trainer.num_sanity_val_steps = float("inf") if job.machine.validate_first else 0
        job.paper.prepare(job.model, job.dataset, job.drawn)
        inherited = load_start(job.paper, job.model, start, console.say)
    if last is not None:
        job.examples.first_epoch = finished_epochs(last)
        job.examples.first_batch = (read_within(last) or {"batches": 0})["batches"]
    if begun is None:
        training = describe_training(job.dataset, job.songs, job.seed, inherited)
        frozen = start.freeze if parent is None else parent.frozen
        begun = Begun(job.loaded.name, start.asked(), frozen, training)
    freeze(job.model, begun.frozen, console.say)
    return begun, last


def _train(
    job: _Job, run: _Run, folder: RunFolder, begun: Begun, last: Path | None, command: str
) -> None:
    """Run the loop; the first process writes what the run leaves."""
    recipe, out = job.loaded.recipe, folder.path
    module = job.paper.build_training(job.model, recipe)
    if job.machine.checkpoint_activations:
        job.model.activation_checkpointing = True
    if run.trainer.is_global_zero:
        folder.begin(job.loaded.text, begun)
    _loop(run.trainer, module, job.examples, last)
    if run.trainer.is_global_zero:
        files, chosen = run.checkpoints.choose(recipe.training, run.trainer.current_epoch - 1)
        load_weights(module, [out / name for name in files])
        record = {**begun.training, "steps": run.trainer.global_step}
        seconds = run.stopwatch.seconds
        write_outcome(out, job.paper, job.loaded, job.model, record, chosen, seconds, command)
        console.say(_kept(chosen, run.checkpoints))
        console.say(f"model and run.json: {out}")


def _kept(chosen: Mapping[str, Any], checkpoints: Checkpoints) -> str:
    """Which epochs became the model, as metrics.csv counts them, and by what."""
    epochs = ", ".join(map(str, chosen["epochs"]))
    if chosen["keep"] == "last":
        return f"kept epoch {epochs}, the last"
    if len(chosen["epochs"]) > 1:
        return f"kept the mean of epochs {epochs}, the best by {checkpoints.criterion.name}"
    best = checkpoints.criterion.value(checkpoints.lowest)
    named = epochs or "of best.ckpt"  # runs that were begun earlier do not know which it is
    return f"kept epoch {named}, the best: {checkpoints.criterion.name} {best:.4g}"


def _decode(dataset: Dataset) -> Dataset:
    with console.progress("decoding flac files") as progress:
        return decode_flac(dataset, progress=progress)


def _examples(
    paper: AnyPaper, recipe: Any, dataset: Dataset, model: Any, seed: int, workers: int | None
) -> Examples:
    """The paper's examples of a data set."""
    listener = Listener(dataset)
    sets = default_examples(listener.dataset, recipe.data, model.stems, seed)
    sets = paper.choose_examples(sets, listener.dataset, recipe, model, seed)
    return Examples(sets, listener, recipe.training.batch, workers)


def _loop(trainer: pl.Trainer, module: Any, examples: Any, checkpoint: Path | None) -> None:
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
        callbacks.append(MovingAverage(loop.ema_decay))
    if loop.early_stop_epochs is not None:
        callbacks.append(EarlyStop.of(loop))
    return callbacks


def _checkpoints(out: Path, loop: LoopConfig, machine: Machine) -> Checkpoints:
    averaged = loop.average_best if loop.average_best > 1 else 0
    keep_best = loop.keep != "last"
    return Checkpoints(out, KEEP[loop.keep], keep_best, max(machine.save_top_k, averaged))
