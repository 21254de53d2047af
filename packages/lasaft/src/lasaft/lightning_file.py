"""Lightning checkpoints of 2020 and 2021, read without importing or executing what they name.

They pickle classes along with the weights (callbacks by class, dictionaries with attributes), so
torch refuses to read them as plain weights. They are unpickled with a short list of functions that
rebuild tensors; every other name becomes an inert dictionary.
"""

from __future__ import annotations

import pickle
import types
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from torch._utils import _rebuild_parameter, _rebuild_tensor_v2

from mss_shared.checkpoints import NotPlain, read_pickled_file, unwrap

PLAIN = (int, float, str, bool, type(None))


class Inert(dict[Any, Any]):
    """Stands for every other class: accepts what a pickle passes to it and ignores it."""

    def __new__(cls, *_: Any, **__: Any) -> Inert:
        """An empty one, whatever the arguments."""
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __call__(self, *_: Any, **__: Any) -> Inert:
        """Another one, so that calls in the pickle have no effect."""
        return Inert()

    def __setstate__(self, _: Any) -> None:
        """Ignore the state."""


REBUILDS = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("collections", "OrderedDict"): OrderedDict,
}


class Restricted(pickle.Unpickler):
    """An unpickler that resolves only what rebuilds tensors; torch adds its storage types."""

    def find_class(self, module: str, name: str) -> Any:
        """The function from ``REBUILDS``, or a new inert class."""
        return REBUILDS.get((module, name)) or type("Inert", (Inert,), {})


def _load_restricted(file: Any, **_: Any) -> Any:
    return Restricted(file).load()


PICKLE = types.ModuleType("restricted_pickle")  # what torch.load needs of a pickle module
PICKLE.Unpickler = Restricted  # type: ignore[attr-defined]
PICKLE.load = _load_restricted  # type: ignore[attr-defined]


def read_lightning(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state dict of a checkpoint and those of its hyper-parameters that are plain values.

    Raises:
        ValueError: if the file can't be read or holds no state dict.
    """
    contents = read_any_age(path, read_pickled_file)
    state, _ = unwrap(contents, str(path))
    hyper = contents.get("hyper_parameters") if isinstance(contents, dict) else None
    hyper = hyper if isinstance(hyper, Mapping) else {}
    return state, {k: v for k, v in hyper.items() if isinstance(v, PLAIN)}


def read_any_age(path: Path, default: Callable[[Path], Any]) -> Any:
    """What the default reader reads, and of files with classes what is not theirs.

    Raises:
        ValueError: if the file can't be read.
    """
    try:
        return default(path)
    except NotPlain:
        return read_pickled_file(path, PICKLE)
