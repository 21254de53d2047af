"""What a run starts from: fresh weights, those of a file, or a checkpoint of another run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import lightning as pl
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mss_shared import console
from mss_shared.checkpoints.checkpoint import read_header
from mss_shared.checkpoints.digest import weights_digest
from mss_shared.checkpoints.fitting import adapt_weights
from mss_shared.checkpoints.published import fetch, find_published
from mss_shared.checkpoints.strict_loading import fill
from mss_shared.checkpoints.third_party import read_weights_file
from mss_shared.paper import AnyPaper
from mss_shared.training.begun import FRESH, Start, read_begun
from mss_shared.training.run_folder import read_checkpoint

_SHOWN = 10  # names of weights in a printed line


@dataclass(frozen=True)
class Inherited:
    """What a run has from another one.

    Attributes:
        start: for the record: what was asked, and what came of it.
        training: the record of the other's training; None if it is unknown.
    """

    start: dict[str, Any]
    training: dict[str, Any] | None


def load_start(
    paper: AnyPaper, model: nn.Module, start: Start, say: Callable[[str], None] = console.say
) -> Inherited | None:
    """Load the weights of ``--init`` into a model, and say which were not loaded.

    Args:
        paper: the package.
        model: to be trained.
        start: what is asked.
        say: called with lines for the user.

    Returns:
        None if there is nothing to start from.

    Raises:
        FileNotFoundError: if there are no such weights.
        ValueError: if they can't be read, are several models', or do not fit.
    """
    if start.init is None:
        return Inherited(start.asked(), {}) if start != FRESH else None
    path = _find_weights(paper, start.init)
    state, training = _read(paper, path, model, say)
    found: dict[str, Any] = {"weights_digest": weights_digest(state)}
    if start.init_partial:
        found |= _fill_partly(model, state, path, say)
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


def _read(
    paper: AnyPaper, path: Path, model: nn.Module, say: Callable[[str], None]
) -> tuple[Mapping[str, Tensor], dict[str, Any] | None]:
    """The weights of a file under the model's names, and the record of their training."""
    begun = read_begun(path.parent) if path.suffix == ".ckpt" else None
    if begun is not None:  # a checkpoint of a run, with the state of the losses beside the model's
        state = read_checkpoint(path)["state_dict"]
        first = "model."
        own = {name.removeprefix(first): state[name] for name in state if name.startswith(first)}
        return own, dict(begun.training)
    weights = read_weights_file(path, paper.read_pickled)
    if "paper" in weights.header:
        return weights.state, read_header(paper.name, path, weights).training
    renamed, notes = adapt_weights(paper, path, weights, model)
    for note in notes:
        say(f"{path}: {note}")
    return renamed, None


def _fill_partly(
    model: nn.Module, state: Mapping[str, Tensor], path: Path, say: Callable[[str], None]
) -> dict[str, list[str]]:
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
    say(f"{path}: {len(taken)} of the model's {len(wanted)} weights are from it")
    for what, names in (("left out of it", left_out), ("not in it, fresh", fresh)):
        if names:
            say(f"{what}: {_shorten(names)}")
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


def freeze(
    model: nn.Module, patterns: Sequence[str], say: Callable[[str], None] = console.say
) -> None:
    """Exclude weights from training: those of a module's name, or of a pattern with ``*``.

    Args:
        model: to be trained.
        patterns: which weights.
        say: called with a line for the user.

    Raises:
        ValueError: if a pattern fits none, or no weight is left to train.
    """
    named = dict(model.named_parameters())
    for pattern in patterns:
        found = [name for name in named if _fits(name, pattern)]
        if not found:
            near = [name for name in named if pattern.strip("*") in name]
            tops = ", ".join(dict.fromkeys(name.partition(".")[0] for name in named))
            raise ValueError(
                f"--freeze {pattern} fits no weight: give the name of a module or a pattern such "
                f"as '*.bias'; names are like {near[0]}"
                if near
                else f"--freeze {pattern} fits no weight: names begin with {tops}"
            )
        for name in found:
            named[name].requires_grad_(False)
    trained = [tensor for tensor in named.values() if tensor.requires_grad]
    if patterns and not trained:
        raise ValueError(f"--freeze {' '.join(patterns)} leaves nothing to train: freeze less")
    if patterns:
        count, total = (sum(p.numel() for p in some) for some in (trained, named.values()))
        say(f"training {count} of {total} parameters")


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
