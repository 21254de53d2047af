"""Lightning's checkpoints of 2020 and 2021, read without importing or executing what they name.

They pickle classes beside the weights (callbacks by class, dictionaries with attributes). What
torch refuses to read as plain weights for that reason is unpickled with a short list of names that
rebuild tensors; every other name stands for an inert dictionary.
"""

from __future__ import annotations

import pickle
import types
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._utils import _rebuild_parameter, _rebuild_tensor_v2

PLAIN = (int, float, str, bool, type(None))


class Inert(dict[Any, Any]):
    """Takes whatever a pickle hands to a class and does nothing with it."""

    def __new__(cls, *_: Any, **__: Any) -> Inert:
        """An empty one, whatever is asked for."""
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __call__(self, *_: Any, **__: Any) -> Inert:
        """Another one: what was a function of a class stays without effect."""
        return Inert()

    def __setstate__(self, _: Any) -> None:
        """Forget the state."""


REBUILDS = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("collections", "OrderedDict"): OrderedDict,
}


class Restricted(pickle.Unpickler):
    """An unpickler that finds nothing but what rebuilds tensors; torch adds its storages."""

    def find_class(self, module: str, name: str) -> Any:
        """A function of the list, or a fresh inert class."""
        return REBUILDS.get((module, name)) or type("Inert", (Inert,), {})


def _load_restricted(file: Any, **_: Any) -> Any:
    return Restricted(file).load()


PICKLE = types.ModuleType("restricted_pickle")  # what torch.load asks of a pickle module
PICKLE.Unpickler = Restricted  # type: ignore[attr-defined]
PICKLE.load = _load_restricted  # type: ignore[attr-defined]


def read_lightning(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state dict and those hyper-parameters that are plain values.

    Raises:
        ValueError: if the file can't be read or holds no state dict.
    """
    found = _load(path)
    state = found.get("state_dict") if isinstance(found, Mapping) else None
    state = found if state is None else state
    tensors = isinstance(state, Mapping) and [isinstance(v, Tensor) for v in state.values()]
    if not tensors or not all(tensors):
        raise ValueError(f"{path} holds no state dict: give a Lightning checkpoint or a state dict")
    hyper = found.get("hyper_parameters") if state is not found else None
    hyper = hyper if isinstance(hyper, Mapping) else {}
    return dict(state), {k: v for k, v in hyper.items() if isinstance(v, PLAIN)}


def read_state(path: Path) -> dict[str, Tensor]:
    """The state dict alone; ValueError as for ``read_lightning``."""
    return read_lightning(path)[0]


def _load(path: Path) -> Any:
    try:
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            return torch.load(path, map_location="cpu", pickle_module=PICKLE, weights_only=False)
    except Exception as error:  # of any kind: the bytes of a broken file mean anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{path} can't be read as plain weights ({reason}): save its state dict alone"
        ) from None
