"""How often 95 % intervals hold the true value, and how often the average's test is wrong."""

import math
from collections import defaultdict
from collections.abc import Iterator
from statistics import NormalDist

import numpy as np
from boards import cell
from songs import Scores, draw_rows, draw_seeds

from mss_results.aggregate import combine
from mss_results.bootstrap import resample
from mss_results.columns import Candidate, compare_columns
from mss_results.differences import hodges_lehmann
from mss_results.intervals import interval
from mss_results.track_file import AVERAGE

REPEATS = 1000
SEEDS = 3
_MANY = 1_000_000
_NORMAL = NormalDist()
Ends = tuple[float, float]


def simulate(tracks: int, seed: int) -> list[dict[str, object]]:
    """One line per kind of value and kind of interval."""
    random = np.random.RandomState(seed)
    truth = _truth(np.random.RandomState(0))
    hits: dict[tuple[str, str], int] = defaultdict(int)
    widths: dict[tuple[str, str], float] = defaultdict(float)
    for _ in range(REPEATS):
        for value, kind, (low, high) in _intervals(random, tracks):
            hits[value, kind] += low <= truth[value] <= high
            widths[value, kind] += high - low
    return [
        {
            "value": value,
            "interval": kind,
            "tracks": tracks,
            "repeats": REPEATS,
            "coverage": f"{hits[value, kind] / REPEATS:.3f}",
            "mean_width_db": f"{widths[value, kind] / REPEATS:.2f}",
        }
        for value, kind in hits
    ]


def _truth(random: np.random.RandomState) -> dict[str, float]:
    scores = draw_rows(random, np.zeros(1), 4, _MANY)[0]
    medians = np.median(scores, axis=1)
    return {
        "mean": float(scores[0].mean()),
        "median": float(medians[0]),
        "average of 4 medians": float(medians.mean()),
        f"median, {SEEDS} seeds": float(np.median(draw_seeds(random, _MANY // 9, 9))),
        "difference of medians": 0.0,
        "difference of averages": 0.0,
    }


def _intervals(random: np.random.RandomState, tracks: int) -> Iterator[tuple[str, str, Ends]]:
    one, two = draw_rows(random, np.zeros(2), 4, tracks)
    for how in ("mean", "median"):
        yield from _of_stem(one[0], how)
    drawn = [np.mean([resample(stem, "median") for stem in row], axis=0) for row in (one, two)]
    values = [float(np.median(row, axis=1).mean()) for row in (one, two)]
    yield "average of 4 medians", "percentile", _percentile(drawn[0])
    yield "average of 4 medians", "t", _given(interval(values[0], drawn[0], tracks))
    gap = interval(values[0] - values[1], drawn[0] - drawn[1], tracks)
    yield "difference of averages", "t", _given(gap)
    yield "difference of medians", "signed ranks", _given(hodges_lehmann(one[0] - two[0])[1])
    runs = draw_seeds(random, SEEDS, tracks)
    by_seed = [float(np.median(run)) for run in runs]
    mean = np.mean([resample(run, "median") for run in runs], axis=0)
    name = f"median, {SEEDS} seeds"
    yield name, "percentile", _percentile(mean)
    yield name, "t, tracks alone", _given(interval(float(np.mean(by_seed)), mean, tracks))
    yield name, "t", _given(interval(float(np.mean(by_seed)), mean, tracks, by_seed))


def _of_stem(scores: Scores, how: str) -> Iterator[tuple[str, str, Ends]]:
    drawn, value = resample(scores, how), combine(scores, how)
    yield how, "percentile", _percentile(drawn)
    yield how, "BCa", _bca(scores, how, drawn, value)
    yield how, "t", _given(interval(value, drawn, len(scores)))
    if how == "median":
        ordered, place = np.sort(scores), _order_statistic(len(scores))
        yield how, "order statistics", (float(ordered[place]), float(ordered[-1 - place]))


def _given(ends: Ends | None) -> Ends:
    assert ends is not None
    return ends


def _percentile(drawn: Scores) -> Ends:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _bca(scores: Scores, how: str, drawn: Scores, value: float) -> Ends:
    """Bias-corrected and accelerated (Efron 1987), with the jackknife's acceleration."""
    below = (np.count_nonzero(drawn < value) + np.count_nonzero(drawn == value) / 2) / len(drawn)
    bias = _NORMAL.inv_cdf(min(max(below, 0.5 / len(drawn)), 1 - 0.5 / len(drawn)))
    left_out = np.array([combine(np.delete(scores, each), how) for each in range(len(scores))])
    gaps = left_out.mean() - left_out
    spread = float((gaps**2).sum()) ** 1.5
    acceleration = float((gaps**3).sum()) / (6 * spread) if spread else 0.0
    levels = []
    for z in (_NORMAL.inv_cdf(0.025), _NORMAL.inv_cdf(0.975)):
        shifted = bias + (bias + z) / (1 - acceleration * (bias + z))
        levels.append(_NORMAL.cdf(shifted))
    low, high = np.quantile(drawn, levels)
    return float(low), float(high)


def _order_statistic(tracks: int) -> int:
    """The outermost pair of ordered scores that is 95 % sure to enclose the median, from 0."""
    below = 0.0
    for place in range(tracks):
        below += math.comb(tracks, place) / 2**tracks
        if below > 0.025:
            return max(place - 1, 0)
    raise AssertionError


def false_alarms(tracks: int, seed: int) -> dict[str, object]:
    """How often two equal methods differ in the average, by the p of a pair."""
    random = np.random.RandomState(seed)
    names = tuple(f"{track:03d}" for track in range(tracks))
    ps: list[float] = []
    for _ in range(REPEATS // 2):
        candidates = [
            Candidate(str(index), {(AVERAGE, "SDR"): cell(row, names)}, "", names)
            for index, row in enumerate(draw_rows(random, np.zeros(10), 4, tracks))
        ]
        ((column,),) = compare_columns(candidates).values()
        ps += [pair.p for pair in column.pairs]
    shares = {
        f"p_below_{level:g}": f"{np.mean(np.array(ps) < level):.5f}"
        for level in (0.05, 0.01, 0.001, 0.0001)
    }
    return {"tracks": tracks, "pairs": len(ps), **shares}
