"""BSSEval under museval's signature, computed by ours: a script changes one import."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mss_shared.metrics.axes import refuse_swapped
from mss_shared.metrics.bsseval import bsseval
from mss_shared.metrics.bsseval_signals import Array

_ORDER = "(stem, sample, channel) audio, or (stem, channel, sample) to bsseval"


def bss_eval(
    reference_sources: ArrayLike,
    estimated_sources: ArrayLike,
    window: float = 2 * 44_100,
    hop: float = 1.5 * 44_100,
    compute_permutation: bool = False,
    filters_len: int = 512,
    framewise_filters: bool = False,
    bsseval_sources_version: bool = False,
    *,
    mode: Literal["v4", "v3"] = "v4",
) -> tuple[Array, Array, Array, Array, NDArray[np.intp]]:
    """SDR, ISR, SIR, SAR and permutation, as `museval.metrics.bss_eval` gives them.

    Arguments have museval's names, defaults and order, for scripts that pass them by either;
    `mss_shared.metrics.bsseval.bsseval` is the same with ours.

    Args:
        reference_sources, estimated_sources: (stem, sample, channel), finite, of one shape; as in
            museval, (stem, sample) is mono, and (sample,) one mono stem.
        window, hop: samples per frame and from frame to frame; may be fractional or inf.
        compute_permutation: match estimates to references by the largest mean SIR.
        filters_len: length of the distortion filters in samples.
        framewise_filters: estimate the filters in each frame.
        bsseval_sources_version: ratios of `bss_eval_sources`: no ISR, and a filtered reference in
            SDR.
        mode: ``v3`` is `framewise_filters`, under the name that `museval.evaluate` has for it.

    Returns:
        Four ratios of shape (stem, frame) in dB, higher is better; NaN in frames in which any
        reference or estimate is silent. Then the estimate that was scored against each reference,
        (stem, 1), or (stem, frame) with framewise filters.

    Raises:
        ValueError: where museval raises it: for differing shapes, or a stem that is silent over the
            whole song. Also for empty audio, of which museval warns; for NaN and infinity; for
            axes in another order; for another mode.

    Source: museval 0.4.1, whose values these are, up to rounding.
    """
    if mode not in ("v4", "v3"):
        raise ValueError(f"mode is {mode!r}: choose 'v4' or 'v3'")
    references = _channels_second(reference_sources, "references")
    estimates = _channels_second(estimated_sources, "estimates")
    if references.shape != estimates.shape:
        raise ValueError(
            f"references have {_shape(references)}, estimates {_shape(estimates)}: "
            f"both must have the same stems, samples and channels"
        )
    scores = bsseval(
        references,
        estimates,
        window=window,
        hop=hop,
        taps=filters_len,
        framewise_filters=framewise_filters or mode == "v3",
        sources_version=bsseval_sources_version,
        permute=compute_permutation,
        silent="raise",
    )
    return scores.sdr, scores.isr, scores.sir, scores.sar, scores.permutation


def _channels_second(signals: ArrayLike, name: str) -> NDArray[np.number]:
    """(stem, sample, channel) -> (stem, channel, sample), a view."""
    array = np.asarray(signals)
    if not 1 <= array.ndim <= 3 or array.size == 0:
        raise ValueError(
            f"{name} have shape {array.shape}: pass a non-empty (stem, sample, channel) array"
        )
    swapped = np.atleast_3d(array).transpose(0, 2, 1)
    stems, channels, samples = swapped.shape
    refuse_swapped(f"{name} have", {"channels": channels, "stems": stems}, samples, _ORDER)
    return swapped


def _shape(signals: NDArray[np.number]) -> str:
    stems, channels, samples = signals.shape
    return f"{stems} stems of {samples} samples and {channels} channels"
