"""How often a board states a wrong order: ranks by neighbours (the old rule) and by all pairs."""

from collections.abc import Sequence

import numpy as np
from songs import Scores, draw_rows

from mss_results.aggregate import Cell, combine
from mss_results.bootstrap import resample
from mss_results.columns import Candidate, Column, compare_columns
from mss_results.ranks import column_ranks
from mss_results.significance import LEVEL, holm, wilcoxon
from mss_results.track_file import AVERAGE

Order = set[tuple[int, int]]  # (row above, row below), where the board says so


def by_neighbours(values: Scores) -> Order:
    """The rule until 2026: groups in the order of medians, tests between neighbours alone."""
    order = np.argsort(-np.median(values, axis=1), kind="stable")
    ps, lead = wilcoxon(values[order[:-1]] - values[order[1:]])
    ends = np.array([p < LEVEL for p in holm(ps.tolist())]) & (lead > 0)
    groups = np.concatenate([[0], np.cumsum(ends)])
    return {
        (int(above), int(below))
        for one, above in enumerate(order)
        for two, below in enumerate(order)
        if groups[one] < groups[two]
    }


def by_all_pairs(values: Scores) -> Order:
    """Disjoint rank intervals, of a stem's column: (row, track) scores."""
    return _disjoint(_column([{"vocals": row} for row in values]))


def by_average(values: Scores) -> Order:
    """The same of the column of averages: (row, stem, track) scores."""
    return _disjoint(_column([{AVERAGE: row} for row in values]))


def _disjoint(column: Column) -> Order:
    ranks = {int(id): rank for id, rank in column_ranks(column).items()}
    return {
        (above, below) for above in ranks for below in ranks if ranks[above].high < ranks[below].low
    }


def _column(rows: Sequence[dict[str, Scores]]) -> Column:
    tracks = tuple(f"{track:03d}" for track in range(rows[0][next(iter(rows[0]))].shape[-1]))
    candidates = [
        Candidate(
            f"{index:03d}", {(stem, "SDR"): cell(row[stem], tracks) for stem in row}, "", tracks
        )
        for index, row in enumerate(rows)
    ]
    (columns,) = compare_columns(candidates).values()
    return columns[0]


def cell(scores: Scores, tracks: Sequence[str], draws: bool = False) -> Cell:
    """A cell of medians over tracks: (track) of a stem, or (stem, track) of their average.

    Tracks are resampled for an average, whose test needs it, and for a stem with `draws`.
    """
    stems = np.atleast_2d(scores)
    value = float(np.mean([combine(stem, "median") for stem in stems]))
    drawn = None
    if len(stems) > 1 or draws:
        drawn = np.mean([resample(stem, "median") for stem in stems], axis=0)
    by_track = dict(zip(tracks, stems.mean(axis=0).tolist(), strict=True))
    more = {} if drawn is None else {"resamples": drawn}
    return Cell(value, len(tracks), "", None, by_track, **more)


RULES = {
    "neighbours": (by_neighbours, 1, 1000),
    "all pairs": (by_all_pairs, 1, 1000),
    "all pairs, average": (by_average, 4, 100),
}


def simulate(
    rule: str, methods: int, tracks: int, spread_db: float, seed: int
) -> dict[str, object]:
    """Boards of methods whose levels are evenly spread: share of those with a wrong order."""
    ordered, stems, boards = RULES[rule]
    random = np.random.RandomState(seed)
    levels = np.linspace(spread_db, 0, methods)  # row 0 is the best
    wrong = found = 0
    for _ in range(boards):
        rows = draw_rows(random, levels, stems, tracks)
        order = ordered(rows if stems > 1 else rows[:, 0])
        found += len(order)
        wrong += any(levels[above] <= levels[below] for above, below in order)
    pairs = boards * methods * (methods - 1) / 2
    return {
        "rule": rule,
        "methods": methods,
        "tracks": tracks,
        "spread_db": spread_db,
        "boards": boards,
        "boards_with_wrong_order": f"{wrong / boards:.3f}",
        "pairs_ordered": f"{found / pairs:.3f}",
    }
