"""How far apart two rows are: the Hodges-Lehmann estimate of paired differences, its interval."""

import math
from functools import lru_cache

import numpy as np

from mss_results.significance import EXACT_TRACKS, Values, rank_sum_tail

LEVEL = 0.95


def hodges_lehmann(gaps: Values) -> tuple[float, tuple[float, float] | None]:
    """The median of all means of two differences, and the interval that Wilcoxon's test gives.

    Args:
        gaps: (track) paired differences in dB, without NaN; each is also paired with itself.

    Returns:
        The estimate, NaN without tracks, and its 95 % interval: the shifts that a two-sided
        signed-rank test at 0.05 would keep. There is none for fewer than six tracks.

    Source: Hodges and Lehmann 1963; Hollander and Wolfe 1999, sections 3.2 and 3.3.
    """
    if not len(gaps):
        return math.nan, None
    one, two = np.triu_indices(len(gaps))
    means = (gaps[one] + gaps[two]) / 2
    last = len(means) - 1
    outer = _depth(len(gaps)) - 1
    ends = [outer, last - outer] if outer >= 0 else []
    means.partition([last // 2, (last + 1) // 2, *ends])
    estimate = float(means[last // 2] + means[(last + 1) // 2]) / 2
    return estimate, (float(means[ends[0]]), float(means[ends[1]])) if ends else None


@lru_cache(maxsize=1024)
def _depth(tracks: int) -> int:
    """How many means from the outside an end of the interval is; 0 if there is none."""
    tail = (1 - LEVEL) / 2
    if tracks > EXACT_TRACKS:
        mean = tracks * (tracks + 1) / 4
        deviation = math.sqrt(mean * (2 * tracks + 1) / 6)
        return int(mean - 1.959964 * deviation)
    # At index 2 k stands the probability of a rank sum of at most k.
    below = rank_sum_tail(tuple(range(2, 2 * tracks + 1, 2)))[::2]
    return int(np.count_nonzero(below <= tail))
