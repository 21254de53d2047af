"""BSSEval by museval itself, to check ours against; importing it needs ffmpeg and ffprobe."""

from __future__ import annotations

import shutil
import warnings
from typing import Any

import numpy as np

from mss_shared.metrics.bsseval import BssScores
from mss_shared.metrics.bsseval_signals import Array, Signals, checked, samples


def bsseval(
    references: Signals,
    estimates: Signals,
    *,
    window: float,
    hop: float,
    framewise_filters: bool = False,
) -> BssScores:
    """Like `mss_shared.metrics.bsseval.bsseval`, but computed by museval.

    Several float64 copies of the whole song are held in memory.

    Raises:
        ValueError: for signals that ours refuses, too; without museval, ffmpeg or ffprobe; if a
            stem is silent over the whole song, which museval refuses to score; or if its solver
            fails.
    """
    from_museval = _import()
    pair = checked(references, "references"), checked(estimates, "estimates")
    # museval takes (stem, sample, channel).
    audio = [_whole(signals).transpose(0, 2, 1) for signals in pair]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its divisions by zero
            *ratios, order = from_museval(
                *audio, window=window, hop=hop, framewise_filters=framewise_filters
            )
    except (ValueError, AttributeError, np.linalg.LinAlgError) as error:
        raise ValueError(f"museval can't score this track ({error}): score it with ours") from None
    sdr, isr, sir, sar = ratios
    audible = np.zeros(len(sdr), bool)
    return BssScores(sdr, isr, sir, sar, order, audible, audible)


def _whole(signals: Signals) -> Array:
    return np.ascontiguousarray(samples(signals, 0, signals.shape[2]), np.float64)


def _import() -> Any:
    missing = [tool for tool in ("ffmpeg", "ffprobe") if shutil.which(tool) is None]
    if missing:
        raise ValueError(
            f"museval needs {' and '.join(missing)} on the path: install ffmpeg, or score with ours"
        )
    try:
        from museval.metrics import bss_eval
    except ImportError:
        raise ValueError(
            'museval is not installed: pip install "mss-shared[eval]", or score with ours'
        ) from None
    return bss_eval
