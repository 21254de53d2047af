"""Sound in memory as users have it: numpy arrays and torch tensors, floats and integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FULL_SCALE = {"int16": 2.0**15, "int32": 2.0**31}


def read_array(sound: Any, what: str = "the song") -> NDArray[np.floating]:
    """(channel, sample) floats with full scale 1.0.

    Axes in the other order and NaN are left to whoever reads the samples.

    Args:
        sound: (channel, sample) numpy array or torch tensor: floats, or 16- or 32-bit integers,
            whose full scale is that of the type.
        what: names it in errors.

    Raises:
        ValueError: if it has other axes or other numbers.
    """
    values = read_numbers(sound, what)
    if values.ndim == 1:
        raise ValueError(
            f"{what} has one axis of {len(values)} samples: pass (channel, sample) audio, which is "
            f"array[None] for one channel"
        )
    if values.ndim != 2:
        raise ValueError(f"{what} is {values.shape}: pass (channel, sample) audio, one at a time")
    return values


def read_numbers(sound: Any, what: str) -> NDArray[np.floating]:
    """An array of any axes as floats with full scale 1.0, as ``read_array``."""
    if hasattr(sound, "detach"):  # a tensor; avoids importing torch
        sound = sound.detach().cpu()
        # numpy has no bfloat16.
        sound = (sound.float() if str(sound.dtype) == "torch.bfloat16" else sound).numpy()
    try:
        values = np.asarray(sound)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{what} is no array ({error}): pass (channel, sample) audio") from None
    if values.dtype.name in _FULL_SCALE:
        # float32 holds 16 bits exactly.
        kind = np.float32 if values.dtype == np.int16 else np.float64
        scaled: NDArray[np.floating] = np.divide(values, _FULL_SCALE[values.dtype.name], dtype=kind)
        return scaled
    if not np.issubdtype(values.dtype, np.floating):
        raise ValueError(
            f"{what} has dtype {values.dtype}: pass floats with full scale 1.0, or int16 or int32"
        )
    return values
