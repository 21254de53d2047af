"""Numpy arrays and torch tensors through one spelling: each metric is written once, over both.

Nothing here loads torch. A tensor brings its own functions, which keep gradients and devices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from array_api_compat import array_namespace, device, is_torch_array
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

# What a metric takes and gives: arrays for arrays, tensors for tensors.
Signal = TypeVar("Signal", "NDArray[np.floating[Any]]", "Tensor")


def functions_of(*signals: Any) -> Any:
    """The array functions (``sum``, ``log10``, ``fft`` ...) of numpy or of torch.

    Raises:
        ValueError: if signals are of both kinds, or of another one.
    """
    try:
        return array_namespace(*signals)
    except TypeError:
        kinds = " and ".join(dict.fromkeys(type(signal).__name__ for signal in signals))
        raise ValueError(
            f"the signals are of type {kinds}: pass numpy arrays alone, or torch tensors alone"
        ) from None


def like(values: NDArray[np.float64], signal: Any) -> Any:
    """Constants as an array of a signal's kind, dtype and device."""
    xp = functions_of(signal)
    return xp.asarray(values, dtype=signal.dtype, device=device(signal))


def frames_of(signal: Any, size: int, hop: int) -> Any:
    """(..., sample) -> (..., frame, size): whole frames alone, as a view."""
    if is_torch_array(signal):
        return signal.unfold(-1, size, hop)
    return sliding_window_view(signal, size, axis=-1)[..., ::hop, :]


def check_shapes(reference: Any, estimate: Any) -> None:
    """Raise ValueError, saying both, unless shapes are equal and (..., channel, sample), floats."""
    xp = functions_of(reference, estimate)
    if not all(xp.isdtype(signal.dtype, "real floating") for signal in (reference, estimate)):
        raise ValueError(
            f"the reference is {reference.dtype}, the estimate {estimate.dtype}: "
            f"pass floating point, since squares of integers overflow"
        )
    if reference.shape != estimate.shape or reference.ndim < 2:
        raise ValueError(
            f"the reference is {tuple(reference.shape)}, the estimate {tuple(estimate.shape)}: "
            f"both must be the same (..., channel, sample)"
        )
