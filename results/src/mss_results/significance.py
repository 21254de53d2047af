"""Whether one method beats another on the same tracks: Wilcoxon test and Holm's correction."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05
EXACT_TRACKS = 50  # MUSDB18's test set; above, the normal approximation
# Score files have five decimals: smaller differences are rounding errors of the aggregation.
_DECIMALS = 9


@dataclass(frozen=True)
class Comparison:
    """A paired comparison of two rows: number of common tracks, two-sided p, and direction."""

    tracks: int
    p: float
    first_is_better: bool


def compare(first: Mapping[str, float], second: Mapping[str, float]) -> Comparison:
    """Wilcoxon signed-rank test over the tracks that have a score in both rows."""
    shared = sorted(set(first) & set(second))
    gaps = np.array([first[track] - second[track] for track in shared], dtype=np.float64)
    gaps = gaps[~np.isnan(gaps)]
    p, plus, total = _signed_ranks(np.round(gaps, _DECIMALS))
    return Comparison(len(gaps), p, 2 * plus > total)


def wilcoxon(differences: Sequence[float]) -> float:
    """Two-sided p of paired differences; zeros are dropped, ties get their mean rank.

    Up to EXACT_TRACKS differences, the distribution is enumerated exactly, including ties; above,
    it is the normal approximation with tie-corrected variance and no continuity correction.
    """
    return _signed_ranks(np.asarray(differences, dtype=np.float64))[0]


def _signed_ranks(differences: NDArray[np.float64]) -> tuple[float, int, int]:
    """p, twice the sum of the positive ranks, twice the sum of all ranks."""
    gaps = differences[differences != 0]
    if not len(gaps):
        return 1.0, 0, 0
    _, inverse, counts = np.unique(np.abs(gaps), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    # Mean ranks of ties may end in .5: doubled, first plus last rank of the tie, they are integers.
    doubled = (2 * last - counts + 1)[inverse]
    plus, total = int(doubled[gaps > 0].sum()), int(doubled.sum())
    if len(gaps) <= EXACT_TRACKS:
        p = _exact(tuple(sorted(int(rank) for rank in doubled)), min(plus, total - plus))
    else:
        p = _normal(len(gaps), counts, plus / 2)
    return p, plus, total


@lru_cache(maxsize=1024)
def _tail(doubled: tuple[int, ...]) -> NDArray[np.float64]:
    """P(twice the rank sum <= index) under the null hypothesis: each sign is a fair coin flip."""
    probs = np.zeros(sum(doubled) + 1)
    probs[0] = 1.0
    for rank in doubled:
        shifted = np.concatenate([np.zeros(rank), probs[:-rank]])
        probs = (probs + shifted) / 2
    return np.cumsum(probs)


def _exact(doubled: tuple[int, ...], smaller: int) -> float:
    return min(1.0, 2 * float(_tail(doubled)[smaller]))


def _normal(count: int, ties: NDArray[np.int64], plus: float) -> float:
    mean = count * (count + 1) / 4
    variance = count * (count + 1) * (2 * count + 1) / 24
    variance -= float(np.sum(ties.astype(np.float64) ** 3 - ties)) / 48
    return math.erfc(abs(plus - mean) / math.sqrt(2 * variance))


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order of `ps`."""
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for step, index in enumerate(sorted(range(len(ps)), key=lambda index: ps[index])):
        highest = max(highest, min(1.0, (len(ps) - step) * ps[index]))
        adjusted[index] = highest
    return adjusted
