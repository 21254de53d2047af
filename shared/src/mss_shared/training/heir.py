"""A run that goes on from an epoch of another one, longer or with other values of the recipe."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as pl
from lightning.pytorch.callbacks import Callback
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.optimizer import Optimizer

from mss_shared import atomic
from mss_shared.paper import AnyPaper
from mss_shared.recipe import LoadedRecipe, changed_leaves, describe_changes, load_recipe
from mss_shared.training.begun import Begun, Start, read_begun
from mss_shared.training.callbacks import Checkpoints, EarlyStop, epoch_file
from mss_shared.training.run_folder import finished_epochs, read_checkpoint, read_digests
from mss_shared.training.start import Inherited, summarise

# Values that the state of a checkpoint can't follow.
_FIXED = ("training.ema_decay", "training.optimizer", "training.schedule", "training.precision")
_LR = "training.lr"
# What schedules count, as opposed to what the recipe says of them.
_PROGRESS = (
    *("last_epoch", "_step_count", "_last_lr", "_get_lr_called_within_step", "_is_initial"),
    *("best", "num_bad_epochs", "cooldown_counter"),
)


@dataclass(frozen=True)
class Parent:
    """A run to go on from.

    Attributes:
        folder: of the run.
        checkpoint: of the epoch.
        epochs: that it had finished there.
        loaded: its recipe, with the new run's values.
        text: its own recipe.
        changed: dotted names of the values that are new.
        seed: of the run.
        begun: what it had started from and heard; None if that is unknown.
    """

    folder: Path
    checkpoint: Path
    epochs: int
    loaded: LoadedRecipe[Any]
    text: str
    changed: tuple[str, ...]
    seed: int
    begun: Begun | None

    @property
    def frozen(self) -> tuple[str, ...]:
        """Its weights that are not trained, in the new run neither."""
        return () if self.begun is None else self.begun.frozen

    def inherited(self, start: Start) -> Inherited:
        """What the new run has from it, for the record."""
        training = None if self.begun is None else dict(self.begun.training)
        found = {
            "epoch": self.epochs - 1,
            "changed": describe_changes(self.text, self.loaded.recipe),
            "from": summarise(training),
        }
        return Inherited({**start.asked(), **found}, training)


def open_parent(
    paper: AnyPaper, source: str, epoch: int | None, overrides: Sequence[str]
) -> Parent:
    """Find the checkpoint of a run's epoch, and check that another run can go on from it.

    Args:
        paper: the package.
        source: the run's folder.
        epoch: as in its ``metrics.csv``; None for the last.
        overrides: of its recipe, from the command line.

    Raises:
        FileNotFoundError: if there is no such run or epoch.
        ValueError: if the new values need a run from the start, or leave nothing to train.
    """
    folder = Path(source).expanduser()
    if not (folder / "recipe.yaml").is_file():
        raise FileNotFoundError(f"{source} is no run folder: give --continue one that fit has made")
    seed = _read_seed(folder)
    begun = read_begun(folder)
    name = "recipe" if begun is None else begun.recipe
    earlier = load_recipe(paper.recipe_type, folder / "recipe.yaml", run_of=name)
    loaded = load_recipe(paper.recipe_type, folder / "recipe.yaml", overrides, run_of=name)
    changed = tuple(changed_leaves(earlier.recipe, loaded.recipe))
    for leaf in changed:
        if leaf.startswith("model.") or leaf in (*_FIXED, "data.stems"):
            raise ValueError(
                f"--continue can't change {leaf}: begin a run from the weights with --init {source}"
            )
    checkpoint = find_epoch(folder, epoch)
    epochs = finished_epochs(checkpoint)
    _check_open(source, checkpoint, epochs, loaded.recipe.training)
    return Parent(folder, checkpoint, epochs, loaded, earlier.text, changed, seed, begun)


def _read_seed(folder: Path) -> int:
    """The seed of the run that a folder holds.

    Raises:
        ValueError: if it is a ``--dev_mode`` run, or its record is damaged.
    """
    lines = read_digests(folder)
    if lines[3:]:
        raise ValueError(f"{folder} is a --dev_mode run: train one without it to go on from")
    if len(lines) < 3 or re.fullmatch(r"[0-9]{1,10}", lines[2]) is None:
        raise ValueError(
            f"{folder}/recipe.digest is damaged, it has no seed: restore it, or begin a run from "
            f"the weights with --init"
        )
    return int(lines[2])


def find_epoch(folder: Path, epoch: int | None) -> Path:
    """The checkpoint of an epoch; None is for the last.

    Raises:
        FileNotFoundError: if there is none, with the epochs that there are.
    """
    files = [folder / "last.ckpt", folder / "best.ckpt", *sorted(folder.glob("epoch-*.ckpt"))]
    kept = {finished_epochs(path) - 1: path for path in reversed(files) if path.is_file()}
    if not kept:
        raise FileNotFoundError(f"{folder} has no checkpoint: its run has not finished an epoch")
    if epoch is None:
        return kept[max(kept)]
    if epoch not in kept:
        epochs = ", ".join(map(str, sorted(kept)))
        raise FileNotFoundError(
            f"{folder} keeps no checkpoint of epoch {epoch}: choose --epoch from {epochs}"
        )
    return kept[epoch]


def _check_open(source: str, checkpoint: Path, epochs: int, loop: Any) -> None:
    """Raise ValueError if the run would be over at once, or the file has weights alone."""
    content = read_checkpoint(checkpoint)
    if not content.get("optimizer_states"):
        raise ValueError(f"{checkpoint} has weights alone: begin a run with --init {checkpoint}")
    if loop.epochs <= epochs:
        raise ValueError(
            f"{source} has finished {epochs} epochs there and training.epochs is {loop.epochs}: "
            f"give more with --recipe.training.epochs"
        )
    if loop.early_stop_epochs is None:
        return
    stop = EarlyStop.of(loop)
    waited = content["callbacks"].get(stop.state_key, {}).get("wait_count", 0)
    if waited >= stop.patience:
        raise ValueError(
            f"{source} had stopped early, after {waited} validations without gain: give more with "
            f"--recipe.training.early_stop_epochs, or null for never"
        )


class Heir(Callback):
    """Fits the state of the parent's checkpoint to the new recipe, and takes over its best epochs.

    Options of the optimizer and of schedules are the new recipe's, their progress is the parent's.
    The parent's best epochs compete, as far as they are not later than the epoch of the checkpoint
    and are kept.

    Args:
        parent: the other run.
        out: the folder of this run.
        checkpoints: of this run.
    """

    def __init__(self, parent: Parent, out: Path, checkpoints: Checkpoints) -> None:
        self.parent = parent
        self.out = out
        self.checkpoints = checkpoints
        self.options: list[list[dict[str, Any]]] = []
        self.schedules: list[dict[str, Any]] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note what the recipe says, before the checkpoint's state replaces it."""
        self.options = [[_options(g) for g in o.param_groups] for o in trainer.optimizers]
        self.schedules = [dict(c.scheduler.state_dict()) for c in trainer.lr_scheduler_configs]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After the checkpoint is loaded, unless it is one of this run."""
        if trainer.ckpt_path != str(self.parent.checkpoint):
            return
        for optimizer, groups in zip(trainer.optimizers, self.options, strict=True):
            self._set_options(optimizer, groups)
        for config, fresh in zip(trainer.lr_scheduler_configs, self.schedules, strict=True):
            self._set_schedule(config.scheduler, fresh)
        self._adopt(trainer)

    def _set_options(self, optimizer: Optimizer, groups: list[dict[str, Any]]) -> None:
        for group, fresh in zip(optimizer.param_groups, groups, strict=True):
            kept = () if _LR in self.parent.changed else ("lr", "initial_lr")
            group.update({name: value for name, value in fresh.items() if name not in kept})

    def _set_schedule(self, scheduler: Any, fresh: dict[str, Any]) -> None:
        """Where it is in a schedule of other values, its learning rate is that of this place."""
        state = scheduler.state_dict()
        said = {name: value for name, value in fresh.items() if name not in _PROGRESS}
        if all(state[name] == value for name, value in said.items()):
            return
        if state.get("mode") != fresh.get("mode"):  # another criterion: what was best tells nothing
            said["best"] = fresh["best"]
        scheduler.load_state_dict({**state, **said})
        if not isinstance(scheduler, ReduceLROnPlateau):
            rates = scheduler._get_closed_form_lr()
            for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate

    def _adopt(self, trainer: pl.Trainer) -> None:
        """Copy the best epochs; what is no longer there does not compete."""
        kept, ours = self.checkpoints, trainer.is_global_zero
        kept.top = {e: cost for e, cost in kept.top.items() if self._file(e) is not None}
        kept.top = dict([*kept.top.items()][: kept.size])
        best = None if kept.best_epoch is None else self._file(kept.best_epoch)
        if best is None:
            last = self.parent.checkpoint
            measured = kept.criterion.name in kept.metrics
            kept.lowest = kept.criterion.cost(kept.metrics) if measured else math.inf
            kept.best_epoch = self.parent.epochs - 1 if measured else None
            best = last if measured else None
        if ours and kept.keep_best and best is not None:
            _copy(best, self.out / "best.ckpt")
        for epoch in kept.top:
            path = self._file(epoch)
            if ours and path is not None:
                _copy(path, self.out / epoch_file(epoch))

    def _file(self, epoch: int) -> Path | None:
        try:
            return find_epoch(self.parent.folder, epoch)
        except FileNotFoundError:
            return None


def _options(group: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name != "params"}


def _copy(source: Path, target: Path) -> None:
    with atomic.replacing(target) as part:
        shutil.copyfile(source, part)
