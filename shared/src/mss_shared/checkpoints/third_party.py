"""Third-party weights files: read without executing code, wrappers and prefixes removed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor

PICKLED = (".pth", ".pt", ".ckpt", ".th")
SUFFIXES = (".safetensors", *PICKLED)
WRAPPERS = ("state", "state_dict", "model_state_dict", "ema_state_dict", "ema", "model")
PREFIXES = ("module.", "model.", "ema_model.", "ema.", "averaged_model.")
COUNTERS = ("n_averaged", "num_updates", "initted", "step")  # of moving averages, not weights


@dataclass(frozen=True)
class WeightsFile:
    """What a weights file holds.

    Attributes:
        state: the weights by name, without wrappers.
        notes: what was removed, one line each.
        header: the metadata of a ``.safetensors`` file; empty for others.
    """

    state: dict[str, Tensor]
    notes: tuple[str, ...]
    header: dict[str, str]


def read_weights_file(
    path: Path, read_pickled: Callable[[Path, Callable[[Path], Any]], Any] | None = None
) -> WeightsFile:
    """Read a file of weights.

    Args:
        path: ``.safetensors``, or a pickled file.
        read_pickled: reads a pickled file, called with its path and the default reader; None for
            the default, ``torch.load`` with ``weights_only=True``.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if its name has another suffix, or it can't be read as plain weights.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no weights file {path}: check --checkpoint")
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path} is not a checkpoint: its name must end in {', '.join(SUFFIXES)}")
    if path.suffix == ".safetensors":
        content, header = _read_safetensors(path)
    else:
        content = _unpickle(path) if read_pickled is None else read_pickled(path, _unpickle)
        header = {}
    state, notes = unwrap(content, str(path))
    return WeightsFile(state, tuple(notes), header)


def unwrap(content: Any, name: str = "the file") -> tuple[dict[str, Tensor], list[str]]:
    """The bare state dict in a file's content, and what was removed around it.

    Raises:
        ValueError: if it holds anything but tensors, or none.
    """
    notes: list[str] = []
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            notes.append(f"unwrapped {wrapper!r}")
    if not isinstance(content, Mapping):
        raise ValueError(
            f"{name} holds no state dict but a {type(content).__name__}: save the model's "
            f"state_dict() alone"
        )
    counters = [key for key in content if str(key).rpartition(".")[2] in COUNTERS]
    if counters:
        notes.append(f"left out the counters {', '.join(counters)}")
    state = {key: value for key, value in content.items() if key not in counters}
    other = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if other or not state:
        what = (
            f"{other[0]!r} of its {len(state)} entries is not a tensor" if other else "it is empty"
        )
        raise ValueError(f"{name} holds no state dict, {what}: save the model's state_dict() alone")
    return state, notes


def strip_prefixes(
    state: Mapping[str, Tensor], wanted: Collection[str] = ()
) -> tuple[dict[str, Tensor], list[str]]:
    """Remove prefixes that every key has, unless some keys are already among ``wanted``."""
    notes = []
    stripped = dict(state)
    while stripped and not set(stripped) & set(wanted):
        prefix = next((p for p in PREFIXES if all(key.startswith(p) for key in stripped)), None)
        if prefix is None:
            break
        stripped = {key.removeprefix(prefix): tensor for key, tensor in stripped.items()}
        notes.append(f"removed the prefix {prefix!r} from every key")
    return stripped, notes


def _read_safetensors(path: Path) -> tuple[Any, dict[str, str]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}
            return state, dict(file.metadata() or {})
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{path} can't be read as plain weights, it is not a safetensors file ({error}): "
            f"replace it"
        ) from None


def _unpickle(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (
        Exception
    ) as error:  # any exception: unpickling a broken file may raise whatever its bytes spell
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{path} can't be read as plain weights ({reason}): save its state dict alone"
        ) from None
