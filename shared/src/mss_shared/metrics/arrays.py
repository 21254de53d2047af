"""Numpy arrays and torch tensors behind the same functions, so that each metric is written once.

Nothing here loads torch: a tensor brings torch's functions along, which keep gradients and devices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from array_api_compat import array_namespace, device, is_torch_array
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mss_shared.metrics.axes import refuse_swapped

if TYPE_CHECKING:
    from torch import Tensor

# A metric of arrays returns an array, a metric of tensors a tensor.
Signal = TypeVar("Signal", "NDArray[np.floating[Any]]", "Tensor")


def get_array_functions(*signals: Any) -> Any:
    """The module with the signals' functions (``sum``, ``log10``, ``fft`` ...): numpy's or torch's.

    Raises:
        ValueError: if the signals are a mix of both, or neither.
    """
    try:
        return array_namespace(*signals)
    except TypeError:
        kinds = " and ".join(dict.fromkeys(type(signal).__name__ for signal in signals))
        raise ValueError(
            f"the signals are of type {kinds}: pass only numpy arrays, or only torch tensors"
        ) from None


def like(values: NDArray[np.float64], signal: Any) -> Any:
    """Constants as an array or a tensor with a signal's dtype and device."""
    xp = get_array_functions(signal)
    return xp.asarray(values, dtype=signal.dtype, device=device(signal))


def split_frames(signal: Any, size: int, hop: int) -> Any:
    """(..., sample) -> (..., frame, size): complete frames only, as a view."""
    if is_torch_array(signal):
        return signal.unfold(-1, size, hop)
    return sliding_window_view(signal, size, axis=-1)[..., ::hop, :]


def check_shapes(reference: Any, estimate: Any) -> None:
    """Raise ValueError unless both are floats of the same plausible (..., channel, sample)."""
    xp = get_array_functions(reference, estimate)
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
    channels, samples = reference.shape[-2:]
    transposed = "(..., channel, sample) audio, the transpose of what soundfile reads"
    refuse_swapped("the reference has", {"channels": channels}, samples, transposed)
