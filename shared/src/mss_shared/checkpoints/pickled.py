"""Pickled weights files: torch's reader of plain weights, with inert stand-ins for numpy's types.

Checkpoints hold numpy numbers, dtypes and arrays beside or in place of tensors. numpy's own
functions that rebuild them also take dtypes of objects, and what they do with those depends on the
version of numpy. Here each of their names stands for a function or class of this module, which
takes plain dtypes alone, and reads bytes as numbers or as texts.
"""

from __future__ import annotations

import pickle
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from mss_shared.names import shorten

PLAIN = re.compile(r"\?|b1|[iu][1248]|f[248]|c(8|16)|[US][0-9]{1,6}")
ORDERS = ("<", ">", "=", "|")
SCALARS = (
    *("bool", "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128", "str_", "bytes_", "longlong"),
)
NOT_ALLOWED = (  # how torch reports a name that is not on its list
    re.compile(r"GLOBAL (.+?) was not an allowed global", re.DOTALL),
    re.compile(r"unsupported GLOBAL (.+?) whose module", re.DOTALL),
)
_reading = threading.Lock()  # torch's list of safe names is one for the process


class NotPlain(ValueError):
    """A pickled file has a class, a function or an instruction that plain weights do not have."""


class _Refused(ValueError):
    """What a stand-in was given is not plain."""


class Dtype:
    """Stands for ``numpy.dtype`` and for numpy's types: keeps their code."""

    code = ""
    order = "="

    def __init__(self, code: object = "", *_: object) -> None:
        self.code = code if isinstance(code, str) else ""

    def __setstate__(self, state: object) -> None:
        """Keep the byte order; structures, shapes and metadata make the code one of objects."""
        if not isinstance(state, tuple) or len(state) < 5 or state[1] not in ORDERS:
            raise _Refused("a numpy dtype with an invalid state")
        if any(part is not None for part in state[2:5]):
            self.code = "V"
        self.order = state[1]

    def resolve(self) -> np.dtype[Any]:
        """The dtype of numbers or texts that this stands for."""
        if not PLAIN.fullmatch(self.code):
            raise _Refused(f"numpy data of dtype {shorten(self.code)}")
        return np.dtype(self.order + self.code)


class Array:
    """Stands for ``numpy.ndarray``.

    Attributes:
        values: the array; None before its state is known.
    """

    values: np.ndarray[Any, Any] | None = None

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: object) -> None:
        """Interpret the bytes of a state (version, shape, dtype, Fortran order, bytes)."""
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[1], tuple):
            raise _Refused("a numpy array with an invalid state")
        _, shape, dtype, fortran, data = state
        if not all(type(length) is int and length >= 0 for length in shape):
            raise _Refused("a numpy array with an invalid shape")
        flat = _numbers(dtype, data)
        self.values = flat.reshape(shape, order="F" if fortran else "C")

    def to_tensor(self) -> Tensor | None:
        """The array as a tensor; None for texts."""
        if self.values is None or self.values.dtype.kind in "US":
            return None
        native = self.values.dtype.newbyteorder("=")
        return torch.from_numpy(np.array(self.values, dtype=native, order="C"))


def rebuild_array(*_: object) -> Array:
    """Stands for ``numpy.core.multiarray._reconstruct``: an array before its state is known."""
    return Array()


def rebuild_scalar(dtype: object = None, data: object = b"") -> Any:
    """Stands for ``numpy.core.multiarray.scalar``: a number or text."""
    values = _numbers(dtype, data)
    if len(values) != 1:
        raise _Refused("a numpy scalar of another size than its dtype's")
    return values[0]


def rebuild_bytes(*arguments: object) -> bytes:
    """Stands for ``bytes``: the empty ones, which pickle writes as a call."""
    if arguments:
        raise _Refused("bytes that are made from something else")
    return b""


def _numbers(dtype: object, data: object) -> np.ndarray[Any, Any]:
    """Bytes as a flat array of a plain dtype."""
    if not isinstance(dtype, Dtype):
        raise _Refused("numpy data without a dtype")
    resolved = dtype.resolve()
    if not isinstance(data, bytes | bytearray):
        raise _Refused("numpy data that are not bytes")
    if resolved.itemsize == 0:  # the empty text
        return np.zeros(1, resolved)
    return np.frombuffer(data, resolved)


STAND_INS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    *((rebuild_scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *((rebuild_array, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    (rebuild_bytes, "builtins.bytes"),
    (Array, "numpy.ndarray"),
    (Dtype, "numpy.dtype"),
    *((Dtype, f"numpy.{name}") for name in SCALARS),
    *((Dtype, f"numpy.dtype[{name}]") for name in SCALARS),
    *((Dtype, f"numpy.dtypes.{name.title().replace('Ui', 'UI')}DType") for name in SCALARS),
]


def read_pickled_file(path: Path, restricted: ModuleType | None = None) -> Any:
    """The contents of a pickled file: tensors, containers, numbers and texts; executes nothing.

    numpy arrays are ``Array``, dtypes ``Dtype``.

    Args:
        path: of the file.
        restricted: a pickle module that resolves names to harmless things alone, in place of
            torch's reader of plain weights.

    Raises:
        NotPlain: if it has any other class or function, or is not pickled as torch.save does.
        ValueError: if it is damaged or of another format.
    """
    plain = restricted is None
    try:
        with _opened(path) as source, _stand_ins():
            return torch.load(
                source, map_location="cpu", weights_only=plain, pickle_module=restricted
            )
    except Exception as error:  # a damaged file may raise whatever its bytes spell
        raise _explain(path, error) from None


@contextmanager
def _opened(path: Path) -> Iterator[Path | BinaryIO]:
    """What ``torch.load`` is given: the path, unless it would take that for safetensors."""
    if path.suffix != ".safetensors":
        yield path
        return
    with path.open("rb") as file:
        yield file


@contextmanager
def _stand_ins() -> Iterator[None]:
    with _reading, warnings.catch_warnings(), torch.serialization.safe_globals(STAND_INS):
        warnings.simplefilter("ignore")  # on protocols and storages, of no use to the reader
        yield


def _explain(path: Path, error: Exception) -> ValueError:
    """The sentence for what a reader of pickles raised; never the reader's own text."""
    text = str(error)
    start = f"{path} can't be read as plain weights"
    alone = "save the state dict alone, as torch.save(model.state_dict(), path)"
    for pattern in NOT_ALLOWED:
        named = pattern.search(text)
        if named:
            name = named[1] if named[1].isprintable() else shorten(named[1])
            return NotPlain(f"{start}, it holds {name[:120]}, which is not read: {alone}")
    if isinstance(error, _Refused):
        return NotPlain(f"{start}, it holds {text}, which are not read: {alone}")
    if isinstance(error, pickle.UnpicklingError) and "Unsupported operand" in text:
        return NotPlain(f"{start}, it is not pickled as torch.save does by default: {alone}")
    if isinstance(error, pickle.UnpicklingError):
        return NotPlain(f"{start}, it holds more than tensors, numbers and texts: {alone}")
    kind = type(error).__name__
    return ValueError(f"{start}, it is cut short or damaged ({kind}): download or copy it again")
