"""Confidence intervals: a bootstrap standard error times a quantile of Student's t."""

import math
from collections.abc import Sequence

import numpy as np

from mss_results.bootstrap import Values
from mss_results.distributions import student_quantile

LEVEL = 0.95
_MIN_TRACKS = 2  # with a single track all resamples are equal


def standard_error(resamples: Values, tracks: int) -> float:
    """The standard deviation of a statistic over resampled tracks, in the statistic's unit.

    Args:
        resamples: (resample) values of the statistic, NaN where no drawn track has a score.
        tracks: number of tracks with a score, at least two. The bootstrap's variance is too small
            by (tracks - 1) / tracks, exactly so for a mean, which is made up for.
    """
    assert tracks >= _MIN_TRACKS, tracks
    present = resamples[~np.isnan(resamples)]
    return float(np.std(present)) * math.sqrt(tracks / (tracks - 1))


def interval(
    value: float, resamples: Values, tracks: int, by_seed: Sequence[float] = ()
) -> tuple[float, float] | None:
    """The 95 % interval of a value for other tracks, and for other seeds if there are several.

    Args:
        value: the statistic on all tracks; of several runs, their mean.
        resamples: (resample) the same for drawn tracks.
        tracks: number of tracks with a score.
        by_seed: the value of each run. Drawing runs adds their variance over their number to that
            of drawing tracks; degrees of freedom are Welch and Satterthwaite's.

    Returns:
        Its ends, or None if fewer than two tracks have a score. For the mean over tracks of a
        single run it is the usual t interval. Coverage: experiments/2026-12-rank-simulation.
    """
    if tracks < _MIN_TRACKS or math.isnan(value):
        return None
    parts = [(standard_error(resamples, tracks) ** 2, tracks - 1)]
    if len(by_seed) > 1:
        parts.append((float(np.var(by_seed, ddof=1)) / len(by_seed), len(by_seed) - 1))
    variance = math.fsum(part for part, _ in parts)
    if variance == 0:
        return value, value
    freedom = variance**2 / math.fsum(part**2 / each for part, each in parts)
    half = student_quantile(LEVEL, freedom) * math.sqrt(variance)
    return value - half, value + half
