"""Sound in memory as users have it: numpy arrays and torch tensors, floats and integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_FULL_SCALE = {"int16": 2.0**15, "int32": 2.0**31}


def read_array(song: Any) -> NDArray[np.floating]:
    """(channel, sample) floats with full scale 1.0.

    Args:
        song: (channel, sample) numpy array or torch tensor: floats, or 16- or 32-bit integers,
            whose full scale is that of the type. Axes in the other order and NaN are refused where
            it is separated.

    Raises:
        ValueError: if it has other axes or other numbers.
    """
    values = _numbers(song)
    if values.ndim == 1:
        raise ValueError(
            f"the song has one axis of {len(values)} samples: pass (channel, sample) audio, which "
            f"is song[None] for one channel"
        )
    if values.ndim != 2:
        raise ValueError(
            f"the song is {values.shape}: pass (channel, sample) audio, one song at a time"
        )
    if values.dtype.name in _FULL_SCALE:
        # float32 holds 16 bits, and is what models see of 32.
        kind = np.float32 if values.dtype == np.int16 else np.float64
        return (values / _FULL_SCALE[values.dtype.name]).astype(kind)
    if not np.issubdtype(values.dtype, np.floating):
        raise ValueError(
            f"the song has dtype {values.dtype}: pass floats with full scale 1.0, or int16 or int32"
        )
    return values


def like(stem: NDArray[np.float32], song: Any) -> Any:
    """A stem as what the song was: a tensor on its device, or a numpy array."""
    return torch.from_numpy(stem).to(song.device) if isinstance(song, Tensor) else stem


def _numbers(song: Any) -> NDArray[Any]:
    if isinstance(song, Tensor):
        song = song.detach().cpu()
        numbers: NDArray[Any] = (song if song.dtype != torch.bfloat16 else song.float()).numpy()
        return numbers
    try:
        return np.asarray(song)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"the song is no array ({error}): pass (channel, sample) audio") from None
