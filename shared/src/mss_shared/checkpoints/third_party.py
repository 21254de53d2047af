"""Third-party weights files: read without executing code, wrappers around the weights removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor

from mss_shared.checkpoints.file_kinds import find_kind
from mss_shared.checkpoints.pickled import Array, read_pickled_file
from mss_shared.checkpoints.weight_names import AVERAGES, COUNTERS
from mss_shared.names import shorten

PICKLED = (".pth", ".pt", ".ckpt", ".th")
SUFFIXES = (".safetensors", *PICKLED)
WRAPPERS = (  # sections that hold weights, outermost first
    *("state", "state_dict", "model_state_dict", "model", "module", "net", "network", "generator"),
    *("net_state_dict", "generator_state_dict", "params", "weights", "shadow", "shadow_params"),
)
LISTS = ("shadow_params", "shadow_weights", "averaged_params")  # sections that may have no names
DEEPEST = 8  # sections within sections
LONGEST_NAME = 300
_MOST_REPEATED = 4  # how often tensors of a file may share the same numbers, as tied weights do


@dataclass(frozen=True)
class WeightsFile:
    """What a weights file holds.

    Attributes:
        state: the weights by name, without wrappers; a moving average that stands beside raw
            weights has its section's name before its names.
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
        path: safetensors or pickled, whatever its suffix says.
        read_pickled: reads a pickled file, called with its path and the default reader; None for
            the default, ``read_pickled_file``.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if its name has the suffix of no weights file, or it can't be read as plain
            weights.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no weights file {path}: check --checkpoint")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path} is not a checkpoint: its name must end in {', '.join(SUFFIXES)}")
    kind = find_kind(path)
    header: dict[str, str] = {}
    if kind == "safetensors":
        content, header = _read_safetensors(path)
    elif read_pickled is None:
        content = read_pickled_file(path)
    else:
        content = read_pickled(path, read_pickled_file)
    state, notes = unwrap(content, str(path))
    _check_dense(state, path)
    if (kind == "safetensors") != (suffix == ".safetensors"):
        notes.insert(0, f"{path.name} is {kind} by its content, and was read as such")
    return WeightsFile(state, tuple(notes), header)


def unwrap(content: Any, name: str = "the file") -> tuple[dict[str, Tensor], list[str]]:
    """The bare state dict in a file's content, and what was removed around it.

    Raises:
        ValueError: if it holds no tensors by name.
    """
    unnamed = _count_unnamed(content, set())
    content, notes = _open(content, 0)
    if not isinstance(content, dict):
        raise ValueError(
            f"{name} holds no state dict but a {type(content).__name__}: save the model's "
            f"state_dict() alone"
        )
    named = {key: value for key, value in content.items() if isinstance(key, str)}
    tensors = {key: t for key, value in named.items() if (t := _tensor(value)) is not None}
    counters = [key for key in tensors if key.rpartition(".")[2] in COUNTERS]
    state = {key: tensor for key, tensor in tensors.items() if key not in counters}
    other = [_label(key) for key in content if key not in tensors]
    if not state:
        many = f"of its {len(content)} entries is not a tensor"
        what = f"{other[0]} {many}" if other else "it is empty"
        raise ValueError(f"{name} holds no state dict, {what}: save the model's state_dict() alone")
    _check_names(state, name)
    if other:
        first = ", ".join(other[:5])
        notes.append(f"left out {len(other)} entries that are not tensors: {first}")
    if counters:
        notes.append(f"left out the counters {', '.join(counters)}")
    if unnamed:
        notes.append(
            f"left out a moving average of {unnamed} tensors without names, which can't be told "
            f"apart: the raw weights are used, save the averaged model's state_dict() for the other"
        )
    return state, notes


def _open(content: Any, depth: int) -> tuple[Any, list[str]]:
    """The innermost section with weights; an average beside raw weights under its own prefix."""
    if depth == DEEPEST or not isinstance(content, dict):
        return content, []
    content = _plain(content)
    average, wrapper = _find(content, AVERAGES), _find(content, WRAPPERS)
    if average is None:
        if wrapper is None:
            return content, []
        inner, notes = _open(content[wrapper], depth + 1)
        return inner, [f"unwrapped {wrapper!r}", *notes]
    averaged, notes = _open(content[average], depth + 1)
    if wrapper is None:
        raw = {key: value for key, value in content.items() if _tensor(value) is not None}
    else:
        raw, _ = _open(content[wrapper], depth + 1)
        notes = [f"unwrapped {wrapper!r}", *notes]
    if not raw:
        return averaged, [f"unwrapped {average!r}", *notes]
    return {**raw, **{f"{average}.{key}": value for key, value in averaged.items()}}, notes


def _count_unnamed(content: Any, seen: set[int]) -> int:
    """How many tensors a moving average has that is a list, as torch_ema's is; 0 if there is none.

    They are in the order of the model's parameters, of which a file of weights tells nothing.
    """
    if isinstance(content, list | tuple):
        return len(content) if all(_tensor(value) is not None for value in content) else 0
    if not isinstance(content, dict) or id(content) in seen:
        return 0
    seen.add(id(content))
    sections = (_plain(content).get(name) for name in (*AVERAGES, *LISTS, *WRAPPERS))
    return max((_count_unnamed(section, seen) for section in sections), default=0)


def _find(content: dict[Any, Any], names: tuple[str, ...]) -> str | None:
    """The first of some sections that holds weights."""
    return next((name for name in names if _holds_weights(content.get(name), set())), None)


def _holds_weights(content: Any, seen: set[int]) -> bool:
    """Whether a section has tensors by name, itself or in its own sections."""
    if not isinstance(content, dict) or id(content) in seen:
        return False
    seen.add(id(content))
    content = _plain(content)
    if any(isinstance(key, str) and _tensor(value) is not None for key, value in content.items()):
        return True
    return any(_holds_weights(content.get(name), seen) for name in (*AVERAGES, *WRAPPERS))


def _plain(content: dict[Any, Any]) -> dict[Any, Any]:
    """The entries without attributes, which a pickle can set on an OrderedDict."""
    return dict(dict.items(content))


def _tensor(value: Any) -> Tensor | None:
    """The numbers of an entry without attributes, which a pickle can set on a tensor."""
    if isinstance(value, Array):
        return value.to_tensor()
    return torch.detach(value) if isinstance(value, Tensor) else None


def _label(key: object) -> str:
    return shorten(key) if isinstance(key, str | int) else f"a {type(key).__name__}"


def _check_names(state: Mapping[str, Tensor], name: str) -> None:
    """Raise ValueError for names that no module has, and that would garble what is printed."""
    for key in state:
        if len(key) > LONGEST_NAME or not key.isprintable():
            raise ValueError(
                f"{name} holds no state dict, the name {shorten(key)} is not one of weights: save "
                f"the model's state_dict() alone"
            )


def _check_dense(state: Mapping[str, Tensor], path: Path) -> None:
    """Raise ValueError for tensors whose numbers are not all in the file."""
    for key, tensor in state.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            kind = "quantized" if tensor.is_quantized else "sparse, nested or without numbers"
            raise ValueError(
                f"{path} can't be read as plain weights, {key} is {kind}: save dense tensors"
            )
        if _bytes(tensor) > tensor.untyped_storage().nbytes():
            raise ValueError(
                f"{path} can't be read as plain weights, {key} repeats fewer numbers than "
                f"its shape {shorten(tuple(tensor.shape))} has: save contiguous tensors"
            )
    total, size = sum(map(_bytes, state.values())), path.stat().st_size
    if total > _MOST_REPEATED * size + 2**20:
        raise ValueError(
            f"{path} can't be read as plain weights, {size} bytes stand for {total}: save each "
            f"tensor once"
        )


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _read_safetensors(path: Path) -> tuple[Any, dict[str, str]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}
            return state, dict(file.metadata() or {})
    except Exception as error:  # a damaged file may raise more than safetensors' own error
        reason = str(error).split("\n")[0]
        raise ValueError(
            f"{path} can't be read as plain weights, it is not a safetensors file "
            f"({shorten(reason)}): replace it"
        ) from None
