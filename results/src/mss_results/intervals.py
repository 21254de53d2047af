"""Standard errors of values and differences, their 95 % intervals and tests, by Student's t."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mss_results.bootstrap import Values
from mss_results.distributions import student_quantile, student_tail

LEVEL = 0.95
_MIN_TRACKS = 2  # with a single track all resamples are equal


@dataclass(frozen=True)
class Error:
    """A standard error in the statistic's unit, and its degrees of freedom."""

    size: float
    freedom: float

    def with_seeds(self, *rows: Sequence[float]) -> "Error":
        """The error for other seeds too.

        Args:
            rows: the value of each run, of every row that has a part in the statistic. A row of
                several runs adds their variance over their number; one of a single run adds
                nothing, since nothing is known of its other seeds. Degrees of freedom are Welch
                and Satterthwaite's.
        """
        parts = [(self.size**2, self.freedom)]
        for runs in rows:
            if len(runs) > 1:
                parts.append((float(np.var(runs, ddof=1)) / len(runs), len(runs) - 1))
        variance = math.fsum(part for part, _ in parts)
        if variance == self.size**2:
            return self
        freedom = variance**2 / math.fsum(part**2 / each for part, each in parts)
        return Error(math.sqrt(variance), freedom)

    def around(self, value: float) -> tuple[float, float]:
        """The ends of the 95 % interval."""
        half = student_quantile(LEVEL, self.freedom) * self.size if self.size else 0.0
        return value - half, value + half

    def p(self, difference: float) -> float:
        """Of a difference of this error, two-sided: that it is zero."""
        if difference == 0:
            return 1.0
        return 2 * student_tail(abs(difference) / self.size, self.freedom) if self.size else 0.0


def tracks_error(resamples: Values, tracks: int) -> Error:
    """The standard deviation of a statistic over resampled tracks.

    Args:
        resamples: (resample) values of the statistic, NaN where no drawn track has a score.
        tracks: number of tracks with a score, at least two. The bootstrap's variance is too small
            by (tracks - 1) / tracks, exactly so for a mean, which is made up for.
    """
    assert tracks >= _MIN_TRACKS, tracks
    present = resamples[~np.isnan(resamples)]
    return Error(float(np.std(present)) * math.sqrt(tracks / (tracks - 1)), tracks - 1)


def interval_error(ends: tuple[float, float], freedom: float) -> Error:
    """The error whose interval is as wide as this one."""
    return Error((ends[1] - ends[0]) / 2 / student_quantile(LEVEL, freedom), freedom)


def interval(
    value: float, resamples: Values, tracks: int, by_seed: Sequence[float] = ()
) -> tuple[float, float] | None:
    """The 95 % interval of a value for other tracks, and for other seeds if there are several.

    Args:
        value: the statistic on all tracks; of several runs, their mean.
        resamples: (resample) the same for drawn tracks.
        tracks: number of tracks with a score.
        by_seed: the value of each run.

    Returns:
        Its ends, or None if fewer than two tracks have a score. For the mean over tracks of a
        single run it is the usual t interval. Coverage: experiments/2026-12-rank-simulation.
    """
    if tracks < _MIN_TRACKS or math.isnan(value):
        return None
    return tracks_error(resamples, tracks).with_seeds(by_seed).around(value)
