"""Does one method beat another on the same tracks? Wilcoxon's signed ranks, Holm's correction."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05
EXACT_TRACKS = 50  # MUSDB18's test set; beyond, the normal approximation
# Files hold five decimals: a smaller difference is rounding of the sums, not a score.
_DECIMALS = 9


@dataclass(frozen=True)
class Comparison:
    """A paired comparison of two rows: the tracks both have, two-sided p, which way it points."""

    tracks: int
    p: float
    first_is_better: bool


def compare(first: Mapping[str, float], second: Mapping[str, float]) -> Comparison:
    """Wilcoxon's signed-rank test over the tracks that have a score in both."""
    shared = sorted(set(first) & set(second))
    gaps = np.array([first[track] - second[track] for track in shared], dtype=np.float64)
    gaps = gaps[~np.isnan(gaps)]
    p, plus, total = _signed_ranks(np.round(gaps, _DECIMALS))
    return Comparison(len(gaps), p, 2 * plus > total)


def wilcoxon(differences: Sequence[float]) -> float:
    """Two-sided p of paired differences; zeros are left out, ties share their mean rank.

    Up to EXACT_TRACKS differences the distribution is enumerated exactly, ties included; beyond,
    the normal approximation with its variance corrected for ties and no continuity correction.
    """
    return _signed_ranks(np.asarray(differences, dtype=np.float64))[0]


def _signed_ranks(differences: NDArray[np.float64]) -> tuple[float, int, int]:
    """p, twice the sum of the positive ranks, twice the sum of all ranks."""
    gaps = differences[differences != 0]
    if not len(gaps):
        return 1.0, 0, 0
    _, place, counts = np.unique(np.abs(gaps), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    doubled = (2 * last - counts + 1)[place]  # first plus last rank of a tie: twice its mean
    plus, total = int(doubled[gaps > 0].sum()), int(doubled.sum())
    if len(gaps) <= EXACT_TRACKS:
        p = _exact(tuple(sorted(int(rank) for rank in doubled)), min(plus, total - plus))
    else:
        p = _normal(len(gaps), counts, plus / 2)
    return p, plus, total


@lru_cache(maxsize=1024)
def _tail(doubled: tuple[int, ...]) -> NDArray[np.float64]:
    """P(twice the rank sum <= index) if every sign is a fair coin."""
    odds = np.zeros(sum(doubled) + 1)
    odds[0] = 1.0
    for rank in doubled:
        shifted = np.concatenate([np.zeros(rank), odds[:-rank]])
        odds = (odds + shifted) / 2
    return np.cumsum(odds)


def _exact(doubled: tuple[int, ...], smaller: int) -> float:
    return min(1.0, 2 * float(_tail(doubled)[smaller]))


def _normal(count: int, ties: NDArray[np.int64], plus: float) -> float:
    mean = count * (count + 1) / 4
    variance = count * (count + 1) * (2 * count + 1) / 24
    variance -= float(np.sum(ties.astype(np.float64) ** 3 - ties)) / 48
    return math.erfc(abs(plus - mean) / math.sqrt(2 * variance))


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the order given."""
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for step, index in enumerate(sorted(range(len(ps)), key=lambda index: ps[index])):
        highest = max(highest, min(1.0, (len(ps) - step) * ps[index]))
        adjusted[index] = highest
    return adjusted
