"""logWMSE, through its author's published package, which `mss-shared[logwmse]` installs."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from array_api_compat import is_torch_array
from numpy.typing import NDArray

from mss_shared.metrics.arrays import Signal, check_shapes, get_array_functions

__all__ = ["log_wmse"]


def log_wmse(mixture: Signal, references: Signal, estimates: Signal, *, sample_rate: int) -> Signal:
    """Logarithm of the error's audible energy, relative to the mixture's; higher is better.

    Both are filtered to follow the sensitivity of the ear. The error of a channel is measured
    against the same channel of the mixture; the score is the mean over channels. Not
    differentiable.

    Args:
        mixture: (channel, sample) the song that contains the stems.
        references: (stem, channel, sample) true stems at the mixture's level.
        estimates: (stem, channel, sample) separated stems.
        sample_rate: of all three, in Hz; the package resamples to 44100.

    Returns:
        (stem,) float32 on a scale similar to SDR in dB: 3 is poor, 30 very good, 73.683 perfect. A
        silent stem is scored like any other. A silent channel of the mixture counts as perfect,
        whatever the estimate.

    Raises:
        ValueError: if the shapes don't fit or there is no sample.
        ModuleNotFoundError: without the package log-wmse-audio-quality.

    Source: calculate_log_wmse of log-wmse-audio-quality 0.2.0 (Jordal). It agrees with older tables
    and torch-log-wmse 0.3; torch-log-wmse 1 differs in the fourth decimal on ordinary stems.
    """
    check_shapes(references, estimates)
    if mixture.shape != references.shape[1:] or mixture.ndim != 2 or mixture.shape[-1] < 1:
        raise ValueError(
            f"the mixture is {tuple(mixture.shape)}, the references {tuple(references.shape)}: "
            f"pass (channel, sample) and (stem, channel, sample), at least one sample"
        )
    score, xp = load_published(), get_array_functions(mixture, references, estimates)
    song, *stems = (_array(signals) for signals in (mixture, estimates, references))
    values = [float(score(song, e, r, sample_rate)) for e, r in zip(*stems, strict=True)]
    scores: Signal = xp.asarray(values, dtype=xp.float32)
    return scores


def _array(signals: Any) -> NDArray[np.float32]:
    if is_torch_array(signals):
        signals = signals.detach().cpu().numpy()
    return np.asarray(signals, np.float32)


def load_published() -> Callable[..., Any]:
    """The package's function: (mixture, estimate, reference, sample_rate) -> score.

    Raises:
        ModuleNotFoundError: if the package is not installed.
    """
    try:
        module = importlib.import_module("log_wmse_audio_quality")
    except ImportError:
        raise ModuleNotFoundError(
            "logWMSE needs the package log-wmse-audio-quality, which is not installed: "
            'pip install "mss-shared[logwmse]"'
        ) from None
    function: Callable[..., Any] = module.calculate_log_wmse
    return function
