"""Drawing test tracks with replacement, with a fixed seed: the seeded bootstrap."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 4000
_SEED = 2018

Values = NDArray[np.float64]


def resample(by_track: Sequence[float], how: str) -> Values:
    """Aggregate over tracks as the protocol does, for RESAMPLES sets drawn with replacement.

    Args:
        by_track: (track) scores in the order of the run's tracks, NaN where a track has none.
        how: `median` or `mean`; NaN is skipped, as in the score itself.

    Returns:
        (resample) values, NaN where no drawn track has a score. Calls with the same number of
        tracks draw the same sets, so the stems of a run can be averaged resample by resample.
    """
    values = np.asarray(by_track, dtype=np.float64)
    if not len(values):
        return np.full(RESAMPLES, np.nan)
    drawn = np.sort(values[_draws(len(values))], axis=1)  # NaN last
    present = np.count_nonzero(~np.isnan(drawn), axis=1)
    if how == "median":
        return _middle(drawn, present)
    assert how == "mean", how
    sums = np.where(np.isnan(drawn), 0.0, drawn).sum(axis=1)
    return np.where(present, sums / np.maximum(present, 1), np.nan)


@lru_cache(maxsize=8)
def _draws(tracks: int) -> NDArray[np.int64]:
    """(resample, track) indices; RandomState, whose stream is frozen across numpy versions."""
    return np.random.RandomState(_SEED).randint(0, tracks, (RESAMPLES, tracks), dtype=np.int64)


def _middle(rows: Values, present: NDArray[np.int64]) -> Values:
    """Median of the first `present` values of each sorted row; NaN where there are none."""
    line = np.arange(len(rows))
    low = rows[line, np.maximum(present - 1, 0) // 2]
    high = rows[line, np.minimum(present // 2, rows.shape[1] - 1)]
    return np.where(present, (low + high) / 2, np.nan)
