"""Boards as CSV: one long leaderboard, and one wide table per board."""

import math
from collections.abc import Iterable, Sequence

from mss_results.aggregate import Cell
from mss_results.board import Board, Row
from mss_results.csv_text import csv_text

LEADERBOARD_COLUMNS = (
    "dataset",
    "protocol",
    "method",
    "recipe",
    "verbatim",
    "stem",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "rank_low",
    "rank_high",
    "seeds",
    "seed_min",
    "seed_max",
    "tracks",
    "extra_data",
    "contaminated",
    "parameters",
    "gmac_per_second",
    "real_time_factor",
    "peak_memory_mb",
    "kind",
    "second_hand_leaves",
    "ours_leaves",
    "source",
)


def fixed(value: float | None, digits: int) -> str:
    """A number with fixed decimals and no negative zero; empty for None and NaN."""
    if value is None or math.isnan(value):
        return ""
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text


def whole(value: int | None) -> str:
    return "" if value is None else str(value)


def yes_no(value: bool | None) -> str:
    return "" if value is None else str(value).lower()


def contaminated(row: Row) -> str:
    """true or false; empty if the training tracks are unknown."""
    return "" if row.contaminated is None else yes_no(bool(row.contaminated))


def bounds(cell: Cell | None) -> tuple[str, str]:
    """The ends of the 95 % interval; empty where there is none."""
    low, high = (cell and cell.interval) or (None, None)
    return fixed(low, 3), fixed(high, 3)


def ranked(row: Row, key: tuple[str, str]) -> tuple[str, str]:
    """Best and worst rank; empty for unranked rows."""
    rank = row.ranks.get(key)
    return ("", "") if rank is None else (str(rank.low), str(rank.high))


def seed_range(cell: Cell | None) -> tuple[str, str]:
    """The lowest and the highest value of several runs; empty for a single one."""
    if cell is None or not cell.by_seed:
        return "", ""
    return fixed(min(cell.by_seed), 3), fixed(max(cell.by_seed), 3)


def leaderboard_csv(boards: Sequence[Board]) -> str:
    """One line per cell of every board, sorted by board, method, recipe, kind and run."""
    lines: list[tuple[str, ...]] = []
    for board in boards:
        by_name = sorted(board.rows, key=lambda row: (row.method, row.recipe, row.kind, row.run))
        for row in by_name:
            lines += _long_lines(board, row)
    return csv_text([LEADERBOARD_COLUMNS, *lines])


def _long_lines(board: Board, row: Row) -> Iterable[tuple[str, ...]]:
    for metric in board.metrics:
        for stem in board.stems:
            cell = row.cells.get((stem, metric))
            if cell is not None:
                yield _long_line(board, row, stem, metric, cell)


def _long_line(board: Board, row: Row, stem: str, metric: str, cell: Cell) -> tuple[str, ...]:
    return (
        board.dataset,
        board.protocol,
        row.method,
        row.recipe,
        yes_no(row.verbatim),
        stem,
        metric,
        fixed(cell.value, 3),
        *bounds(cell),
        *ranked(row, (stem, metric)),
        whole(len(row.seeds) or None),
        *seed_range(cell),
        whole(cell.tracks),
        row.extra_data,
        contaminated(row),
        whole(row.parameters),
        *_cost(row),
        row.kind,
        whole(row.second_hand_leaves),
        whole(row.ours_leaves),
        cell.source,
    )


def _cost(row: Row) -> tuple[str, str, str]:
    memory = row.cost.peak_memory_bytes
    return (
        fixed(row.cost.gmac_per_second, 3),
        fixed(row.cost.real_time_factor, 4),
        "" if memory is None else fixed(memory / 1e6, 1),
    )


def wide_csv(board: Board) -> str:
    """One line per claimed row or run, in the board's order.

    Value columns are named "<stem> <metric>". If any row has them, the ends of the 95 % interval,
    the rank's, the range over seeds, the claimed value, and measured minus claimed follow.
    """
    keys = [(stem, metric) for metric in board.metrics for stem in board.stems]
    columns = [
        *_names(board.rows),
        *(column for key in keys for column in _values(board.rows, key)),
        *_facts(board.rows),
    ]
    return csv_text(zip(*columns, strict=True))


def _names(rows: Sequence[Row]) -> list[list[str]]:
    return [
        ["method", *(row.method for row in rows)],
        ["recipe", *(row.recipe for row in rows)],
        ["run", *(run_cell(row) for row in rows)],
        ["kind", *(row.kind for row in rows)],
        ["reproduces", *(row.reproduces for row in rows)],
        ["verbatim", *(yes_no(row.verbatim) for row in rows)],
    ]


def _values(rows: Sequence[Row], key: tuple[str, str]) -> list[list[str]]:
    stem, metric = key
    name = f"{stem} {metric}"
    cells = [row.cells.get(key) for row in rows]
    optional = [
        [f"{name} low", *(bounds(cell)[0] for cell in cells)],
        [f"{name} high", *(bounds(cell)[1] for cell in cells)],
        [f"{name} rank low", *(ranked(row, key)[0] for row in rows)],
        [f"{name} rank high", *(ranked(row, key)[1] for row in rows)],
        [f"{name} seed min", *(seed_range(cell)[0] for cell in cells)],
        [f"{name} seed max", *(seed_range(cell)[1] for cell in cells)],
        [f"{name} claimed", *(fixed(claimed_value(row, key), 3) for row in rows)],
        [f"{name} difference", *(fixed(difference(row, key), 3) for row in rows)],
    ]
    values = [name, *("" if cell is None else fixed(cell.value, 3) for cell in cells)]
    return [values, *(column for column in optional if any(column[1:]))]


def _facts(rows: Sequence[Row]) -> list[list[str]]:
    gmac, factor, memory = zip(*(_cost(row) for row in rows), strict=True)
    return [
        ["seeds", *(whole(len(row.seeds) or None) for row in rows)],
        ["tracks", *(whole(len(row.tracks) or None) for row in rows)],
        ["extra_data", *(row.extra_data for row in rows)],
        ["contaminated", *(contaminated(row) for row in rows)],
        ["parameters", *(whole(row.parameters) for row in rows)],
        ["gmac_per_second", *gmac],
        ["real_time_factor", *factor],
        ["peak_memory_mb", *memory],
        ["second_hand_leaves", *(whole(row.second_hand_leaves) for row in rows)],
        ["ours_leaves", *(whole(row.ours_leaves) for row in rows)],
        ["source", *("; ".join(row.sources) for row in rows)],
    ]


def claimed_value(row: Row, key: tuple[str, str]) -> float | None:
    """The claimed value that a run reproduces; None if the run has no value itself."""
    return row.claimed.get(key) if key in row.cells else None


def difference(row: Row, key: tuple[str, str]) -> float | None:
    """Measured minus claimed in dB; None if either is missing."""
    claimed = claimed_value(row, key)
    return None if claimed is None else row.cells[key].value - claimed


def run_cell(row: Row) -> str:
    """The run's name; "not run" for claimed rows of our recipes without a score."""
    return "not run" if row.not_run else row.run
