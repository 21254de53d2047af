"""What a run starts from: fresh weights, those of a file, or a checkpoint of another run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import lightning as pl
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mss_shared import atomic, console
from mss_shared.checkpoints.checkpoint import read_header
from mss_shared.checkpoints.digest import weights_digest
from mss_shared.checkpoints.fitting import adapt_weights
from mss_shared.checkpoints.published import fetch, find_published
from mss_shared.checkpoints.strict_loading import fill
from mss_shared.checkpoints.third_party import read_weights_file
from mss_shared.paper import AnyPaper
from mss_shared.provenance import without_absolute_paths

BEGUN = "begun.json"  # in a run folder: what its run started from, and what it hears
_SHOWN = 10  # names of weights in a printed line


@dataclass(frozen=True)
class Start:
    """What the user asks a run to start from; its weights are fresh if all is left out.

    Attributes:
        init: a run folder, a weights file, or the name of published weights.
        init_partial: take from it what fits by name and shape, not all or nothing.
        freeze: names or patterns of weights that are not trained.
        parent: the folder of a run to go on from, as another run.
        epoch: of that run, as in its ``metrics.csv``; None for the last.
    """

    init: str | None = None
    init_partial: bool = False
    freeze: tuple[str, ...] = ()
    parent: str | None = None
    epoch: int | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for what does not go together."""
        if self.init_partial and self.init is None:
            raise ValueError("--init_partial needs weights: give them with --init")
        if self.epoch is not None and self.parent is None:
            raise ValueError("--epoch is one of another run: give that with --continue")
        if self.parent is not None and (self.init is not None or self.freeze):
            raise ValueError(
                "--continue goes on with weights and optimizer of a run, to which --init and "
                "--freeze do not apply: give --init with that run instead"
            )

    def asked(self) -> dict[str, Any]:
        """What is asked, for records and comparisons, without absolute paths."""
        values = {name: value for name, value in asdict(self).items() if value != _DEFAULTS[name]}
        for name in ("init", "parent"):
            if name in values:
                values[name] = without_absolute_paths(values[name])
        return values | ({"freeze": list(self.freeze)} if self.freeze else {})


FRESH = Start()
_DEFAULTS = asdict(FRESH)


@dataclass(frozen=True)
class Inherited:
    """What a run has from another one.

    Attributes:
        start: for the record: what was asked, and what came of it.
        training: the record of the other's training; None if it is unknown.
    """

    start: dict[str, Any]
    training: dict[str, Any] | None


def load_start(paper: AnyPaper, model: nn.Module, start: Start) -> Inherited | None:
    """Load the weights of ``--init`` into a model, and say which were not loaded.

    Returns:
        None if there is nothing to start from.

    Raises:
        FileNotFoundError: if there are no such weights.
        ValueError: if they can't be read, are several models', or do not fit.
    """
    if start.init is None:
        return Inherited(start.asked(), {}) if start != FRESH else None
    path = _find_weights(paper, start.init)
    weights = read_weights_file(path, paper.read_pickled)
    own = weights.header.get("paper") is not None
    training = read_header(paper.name, path, weights).training if own else _heard_beside(path)
    state: Mapping[str, Tensor] = weights.state
    if not own:
        state, notes = adapt_weights(paper, path, weights, model)
        for note in notes:
            console.say(f"{path}: {note}")
    found: dict[str, Any] = {"weights_digest": weights_digest(state)}
    if start.init_partial:
        found |= _fill_partly(model, state, path)
    else:
        fill(model, state, path)
    model.train()
    return Inherited({**start.asked(), **found, "from": summarise(training)}, training)


def _find_weights(paper: AnyPaper, source: str) -> Path:
    """The file of a run folder, a path or a published name.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if the name stands for several files.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        path = path / "model.safetensors"
        if not path.is_file():
            raise FileNotFoundError(
                f"{source} holds no model.safetensors, as its run is not complete: give one of its "
                f"checkpoints, such as {source}/last.ckpt, or go on from it with --continue"
            )
    if path.is_file():
        return path
    entries = find_published(paper.name, source)
    if not entries:
        raise FileNotFoundError(
            f"there are no weights {source}: give --init a run folder, a weights file, or a name "
            f"that {paper.command} checkpoints lists"
        )
    if len(entries) > 1:
        names = ", ".join(entry.file_name for entry in entries)
        raise ValueError(f"{source} stands for {len(entries)} files ({names}): give one of them")
    return fetch(entries[0])


def _heard_beside(path: Path) -> dict[str, Any] | None:
    """What the run of a checkpoint hears, by the record in its folder."""
    begun = read_begun(path.parent) if path.suffix == ".ckpt" else None
    return None if begun is None else dict(begun.training)


def _fill_partly(model: nn.Module, state: Mapping[str, Tensor], path: Path) -> dict[str, list[str]]:
    """Load the weights that fit; which of the file's were left out, and which of the model's."""
    wanted = model.state_dict()
    taken = {
        name: tensor
        for name, tensor in state.items()
        if name in wanted
        and wanted[name].shape == tensor.shape
        and wanted[name].is_complex() == tensor.is_complex()
    }
    if not taken:
        raise ValueError(
            f"none of the {len(state)} weights of {path} has name and shape of one of the model: "
            f"leave out --init"
        )
    left_out, fresh = sorted(state.keys() - taken.keys()), sorted(wanted.keys() - taken.keys())
    model.load_state_dict({**wanted, **taken})
    console.say(f"{path}: {len(taken)} of the model's {len(wanted)} weights are from it")
    for what, names in (("left out of it", left_out), ("not in it, fresh", fresh)):
        if names:
            console.say(f"{what}: {_shorten(names)}")
    return {"left_out": left_out, "fresh": fresh}


def _shorten(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def summarise(training: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What a record says of the training that is inherited, without its songs."""
    if training is None:
        return None
    return {name: training.get(name) for name in ("dataset", "fingerprint", "steps", "seed")}


# ---- frozen weights


def freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Exclude weights from training: those of a module's name, or of a pattern with ``*``.

    Raises:
        ValueError: if a pattern fits none, or no weight is left to train.
    """
    named = dict(model.named_parameters())
    for pattern in patterns:
        found = [name for name in named if _fits(name, pattern)]
        if not found:
            tops = ", ".join(dict.fromkeys(name.partition(".")[0] for name in named))
            raise ValueError(
                f"--freeze {pattern} fits no weight: give the name of a module or a pattern such "
                f"as '*.bias'; names begin with {tops}"
            )
        for name in found:
            named[name].requires_grad_(False)
    trained = [tensor for tensor in named.values() if tensor.requires_grad]
    if patterns and not trained:
        raise ValueError(f"--freeze {' '.join(patterns)} leaves nothing to train: freeze less")
    if patterns:
        count, total = (sum(p.numel() for p in some) for some in (trained, named.values()))
        console.say(f"training {count} of {total} parameters")


def _fits(name: str, pattern: str) -> bool:
    return name == pattern or name.startswith(f"{pattern}.") or fnmatchcase(name, pattern)


class FrozenNorms(Callback):
    """Keeps the statistics of batch norms whose weights are all frozen as they are."""

    def __init__(self) -> None:
        self.norms: list[nn.Module] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find them."""
        for part in pl_module.modules():
            own = list(part.parameters(recurse=False)) if isinstance(part, _BatchNorm) else []
            if own and not any(tensor.requires_grad for tensor in own):
                self.norms.append(part)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """In training mode, they would be updated."""
        for norm in self.norms:
            norm.eval()


# ---- the record of a run that has begun


@dataclass(frozen=True)
class Begun:
    """What a run has started from and hears, written when it begins.

    Attributes:
        recipe: its name.
        asked: of ``Start``.
        frozen: names or patterns of weights that are not trained.
        training: as in the record of a complete run, without the steps.
    """

    recipe: str
    asked: Mapping[str, Any]
    frozen: tuple[str, ...]
    training: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Write it to a run folder."""
        atomic.write_text(folder / BEGUN, json.dumps(asdict(self), indent=2) + "\n")


def read_begun(folder: Path) -> Begun | None:
    """The record in a run folder; None if there is none, as in runs of old.

    Raises:
        ValueError: if it is damaged.
    """
    path = folder / BEGUN
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        begun = Begun(**{**values, "frozen": tuple(values["frozen"])})
        if [type(v) for v in (begun.recipe, begun.asked, begun.training)] != [str, dict, dict]:
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is damaged: restore it, or begin the run again") from None
    return begun
