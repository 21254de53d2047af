"""Tests on the same tracks: Wilcoxon's for pairs of rows, Friedman's for all, Holm's correction."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mss_results.distributions import chi_square_tail

LEVEL = 0.05
EXACT_TRACKS = 50  # MUSDB18's test set; above, the normal approximation
# Score files have five decimals: smaller differences are rounding errors of the aggregation.
DECIMALS = 9
_MIN_ROWS = 3  # of two rows, Friedman's test is a sign test without the differences' sizes

Values = NDArray[np.float64]
Counts = NDArray[np.int64]


def smallest_p(tracks: int) -> float:
    """The p of a row that is better on every track: the two outermost of 2**tracks signs."""
    return min(1.0, 2.0 ** (1 - tracks))


def wilcoxon(gaps: Values) -> tuple[Values, Counts]:
    """Wilcoxon signed-rank test of each row of paired differences.

    Zeros and NaN are dropped, and ties get their mean rank. Up to EXACT_TRACKS differences the
    distribution is enumerated, including ties; above, it is the normal approximation with
    tie-corrected variance and no continuity correction.

    Args:
        gaps: (pair, track) differences.

    Returns:
        (pair) two-sided p, and (pair) twice the sum of the positive ranks less that of the
        negative ones: above zero where the first row is the better one.
    """
    gaps = np.round(gaps, DECIMALS)
    sizes = np.where(np.isnan(gaps) | (gaps == 0), np.inf, np.abs(gaps))  # dropped ones last
    order = np.argsort(sizes, axis=1)
    sizes = np.take_along_axis(sizes, order, axis=1)
    signs = np.sign(np.take_along_axis(gaps, order, axis=1))
    doubled = np.where(np.isfinite(sizes), _doubled_ranks(sizes), 0)
    lead = np.where(np.isfinite(sizes), doubled * signs, 0).sum(axis=1).astype(np.int64)
    counts = np.isfinite(sizes).sum(axis=1)
    ps = [
        _two_sided(ranks[:count].tolist(), int(each))
        for ranks, count, each in zip(doubled, counts, lead, strict=True)
    ]
    return np.array(ps, dtype=np.float64), lead


def friedman(values: Values) -> float | None:
    """Friedman's p that all rows score alike, with correction for ties; chi-square approximation.

    Args:
        values: (row, track) scores; tracks without a score in every row are left out.

    Returns:
        The p, or None for fewer than three rows or two tracks.
    """
    complete = np.round(values[:, ~np.isnan(values).any(axis=0)], DECIMALS).T  # (track, row)
    tracks, rows = complete.shape
    if rows < _MIN_ROWS or tracks < 2:
        return None
    order = np.argsort(complete, axis=1)
    doubled = _doubled_ranks(np.take_along_axis(complete, order, axis=1))
    ranks = np.empty_like(complete)
    np.put_along_axis(ranks, order, doubled / 2, axis=1)
    spread = float((ranks**2).sum()) - tracks * rows * (rows + 1) ** 2 / 4
    if spread == 0:  # all rows are tied on every track
        return 1.0
    between = float(((ranks.sum(axis=0) - tracks * (rows + 1) / 2) ** 2).sum())
    return chi_square_tail((rows - 1) * between / spread, rows - 1)


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order of `ps`."""
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for step, index in enumerate(sorted(range(len(ps)), key=lambda index: ps[index])):
        highest = max(highest, min(1.0, (len(ps) - step) * ps[index]))
        adjusted[index] = highest
    return adjusted


@lru_cache(maxsize=1024)
def rank_sum_tail(doubled: tuple[int, ...]) -> Values:
    """P(twice the rank sum <= index) under the null hypothesis: each sign is a fair coin flip."""
    probs = np.zeros(sum(doubled) + 1)
    probs[0] = 1.0
    for rank in doubled:
        shifted = np.concatenate([np.zeros(rank), probs[:-rank]])
        probs = (probs + shifted) / 2
    return np.cumsum(probs)


def _doubled_ranks(ordered: Values) -> Counts:
    """Twice the mean rank of each value in sorted rows: first plus last rank of its tie."""
    places = np.arange(ordered.shape[1])
    differs = ordered[:, 1:] != ordered[:, :-1]
    edge = np.ones((len(ordered), 1), dtype=bool)
    starts = np.hstack([edge, differs])[:, : len(places)]
    ends = np.hstack([differs, edge])[:, : len(places)]
    first = np.maximum.accumulate(np.where(starts, places, 0), axis=1)
    last = np.where(ends, places, len(places))[:, ::-1]
    return first + np.minimum.accumulate(last, axis=1)[:, ::-1] + 2


def _two_sided(doubled: list[int], lead: int) -> float:
    if not doubled:
        return 1.0
    if len(doubled) <= EXACT_TRACKS:
        smaller = (sum(doubled) - abs(lead)) // 2
        return min(1.0, 2 * float(rank_sum_tail(tuple(doubled))[smaller]))
    # A fair sign adds the square of the rank to the variance, which is the correction for ties.
    deviation = math.sqrt(math.fsum(rank * rank for rank in doubled))
    return math.erfc(abs(lead) / (deviation * math.sqrt(2)))
