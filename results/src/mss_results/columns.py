"""A column's tests: every pair of the rows that were scored on the same tracks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from mss_results.aggregate import Cell
from mss_results.differences import hodges_lehmann
from mss_results.intervals import interval_error, tracks_error
from mss_results.significance import (
    DECIMALS,
    LEVEL,
    Values,
    friedman,
    holm,
    smallest_p,
    wilcoxon,
)
from mss_results.track_file import AVERAGE

Key = tuple[str, str]


@dataclass(frozen=True)
class Candidate:
    """A row eligible for ranking; `fingerprint` is that of its data, empty if unknown."""

    id: str
    cells: Mapping[Key, Cell]
    fingerprint: str
    tracks: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """Two rows on the tracks that have a score in both; `better` and `worse` as the test has it.

    p: two-sided; corrected: the same by Holm over all pairs tested together. wins: tracks on
    which each is ahead. difference, interval: better minus worse in dB, and its 95 % interval,
    None where the tracks are too few to have one.
    """

    better: str
    worse: str
    tracks: int
    p: float
    corrected: float
    wins: tuple[int, int]
    difference: float
    interval: tuple[float, float] | None

    @property
    def is_significant(self) -> bool:
        return self.corrected < LEVEL


@dataclass(frozen=True)
class Column:
    """The tests of one (stem, metric) over rows on the same tracks, in the order of `rows`.

    tracks: the most that any pair has in common. friedman: p that all rows score alike.
    """

    rows: tuple[str, ...]
    tracks: int
    friedman: float | None
    pairs: tuple[Pair, ...]

    @property
    def is_separable(self) -> bool:
        """Whether a row that wins on every track would differ from another after correction."""
        return smallest_p(self.tracks) * len(self.pairs) < LEVEL

    def against(self, id: str) -> tuple[Pair, ...]:
        """The pairs of one row, corrected for these alone."""
        pairs = [pair for pair in self.pairs if id in (pair.better, pair.worse)]
        corrected = holm([pair.p for pair in pairs])
        return tuple(replace(pair, corrected=p) for pair, p in zip(pairs, corrected, strict=True))


def compare_columns(candidates: Sequence[Candidate]) -> dict[Key, tuple[Column, ...]]:
    """(stem, metric) -> one column per pool of at least two scored rows, the largest first."""
    columns: dict[Key, list[Column]] = {}
    for pool in pools(candidates):
        for key in sorted({key for each in pool for key in each.cells}):
            scored = [each for each in pool if key in each.cells and each.cells[key].is_scored]
            if len(scored) > 1:
                columns.setdefault(key, []).append(_column(scored, key))
    return {
        key: tuple(sorted(found, key=lambda column: -len(column.rows)))
        for key, found in columns.items()
    }


def pools(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Group rows that were scored on the same data and tracks.

    Rows of unknown data join those with the same tracks if the latter share a fingerprint.
    """
    known: dict[tuple[str, ...], set[str]] = {}
    for each in candidates:
        known.setdefault(each.tracks, set()).add(each.fingerprint)
    by_data: dict[tuple[str, tuple[str, ...]], list[Candidate]] = {}
    for each in candidates:
        prints = known[each.tracks] - {""}
        fingerprint = next(iter(prints)) if len(prints) == 1 else each.fingerprint
        by_data.setdefault((fingerprint, each.tracks), []).append(each)
    return [by_data[key] for key in sorted(by_data)]


def _column(scored: Sequence[Candidate], key: Key) -> Column:
    cells = [each.cells[key] for each in scored]
    values = np.array([[cell.by_track[track] for track in scored[0].tracks] for cell in cells])
    places = list(combinations(range(len(cells)), 2))
    first, second = np.array(places).T
    gaps = values[first] - values[second]  # (pair, track)
    test = _average_pairs if key[0] == AVERAGE else _pairs
    pairs = test(cells, places, gaps)
    corrected = holm([pair.p for pair in pairs])
    return Column(
        rows=tuple(each.id for each in scored),
        tracks=max(pair.tracks for pair in pairs),
        friedman=friedman(values),
        pairs=tuple(
            _named(replace(pair, corrected=p), scored[one].id, scored[two].id)
            for (one, two), pair, p in zip(places, pairs, corrected, strict=True)
        ),
    )


def _pairs(cells: Sequence[Cell], places: Sequence[tuple[int, int]], gaps: Values) -> list[Pair]:
    """Wilcoxon's test and the Hodges-Lehmann estimate.

    Between rows of several seeds the estimate's interval is widened by the variance of drawing
    runs, and p is that of the wider one if it is above that of Wilcoxon's test.
    """
    pairs: list[Pair] = []
    for (one, two), gap, p, lead in zip(places, gaps, *wilcoxon(gaps), strict=True):
        present = gap[~np.isnan(gap)]
        estimate, ends = hodges_lehmann(present)
        if ends is not None and (cells[one].by_seed or cells[two].by_seed):
            error = interval_error(ends, len(present) - 1)
            wider = error.with_seeds(cells[one].by_seed, cells[two].by_seed)
            if wider is not error:
                ends, p = wider.around(estimate), max(float(p), wider.p(estimate))
        pairs.append(_oriented(present, float(p), int(lead), estimate, ends))
    return pairs


def _average_pairs(
    cells: Sequence[Cell], places: Sequence[tuple[int, int]], gaps: Values
) -> list[Pair]:
    """A paired bootstrap of what the column shows, the mean of the four stems' aggregates.

    The rows' values are resampled on the same tracks, and rows of several seeds add the variance of
    drawing runs. The difference over its standard error is compared with Student's t; p is never
    below that of the tracks alone, or that of a row that wins on every track.
    """
    pairs: list[Pair] = []
    for (one, two), gap in zip(places, gaps, strict=True):
        present = gap[~np.isnan(gap)]
        difference = round(cells[one].value - cells[two].value, DECIMALS)
        p, ends = 1.0, None
        if len(present) > 1:
            tracks = tracks_error(cells[one].resamples - cells[two].resamples, len(present))
            error = tracks.with_seeds(cells[one].by_seed, cells[two].by_seed)
            p, ends = max(error.p(difference), tracks.p(difference)), error.around(difference)
        p = max(p, smallest_p(len(present)))
        pairs.append(_oriented(present, p, difference, difference, ends))
    return pairs


def _oriented(
    gaps: Values, p: float, lead: float, difference: float, ends: tuple[float, float] | None
) -> Pair:
    """A pair whose first row is the better one if `lead` is above zero; not yet named."""
    rounded = np.round(gaps, DECIMALS)
    wins = int(np.count_nonzero(rounded > 0)), int(np.count_nonzero(rounded < 0))
    pair = Pair("first", "second", len(gaps), p, math.nan, wins, difference, ends)
    if lead >= 0:
        return pair
    return replace(
        pair,
        better="second",
        worse="first",
        wins=wins[::-1],
        difference=-difference,
        interval=None if ends is None else (-ends[1], -ends[0]),
    )


def _named(pair: Pair, first: str, second: str) -> Pair:
    names = {"first": first, "second": second}
    return replace(pair, better=names[pair.better], worse=names[pair.worse])
