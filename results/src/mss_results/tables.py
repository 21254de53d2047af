"""Boards as CSV: the long leaderboard and one wide table per board."""

import csv
import io
import math
from collections.abc import Iterable, Sequence

from mss_results.aggregate import Cell
from mss_results.board import Board, Row

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
    "tracks",
    "extra_data",
    "contaminated",
    "parameters",
    "gmac_per_second",
    "real_time_factor",
    "peak_memory_mb",
    "kind",
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
    """true or false; empty where the training tracks are not known."""
    return "" if row.contaminated is None else yes_no(bool(row.contaminated))


def leaderboard_csv(boards: Sequence[Board]) -> str:
    """Every cell of every board as one line, sorted by board, method, recipe and source."""
    lines: list[tuple[str, ...]] = []
    for board in boards:
        by_name = sorted(board.rows, key=lambda row: (row.method, row.recipe, row.kind, row.run))
        for row in by_name:
            lines += _long_lines(board, row)
    return _csv([LEADERBOARD_COLUMNS, *lines])


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
        "",
        "",
        whole(cell.tracks),
        row.extra_data,
        contaminated(row),
        whole(row.parameters),
        *_cost(row),
        row.kind,
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

    A value column is "<stem> <metric>"; where a row of the board reproduces a claimed value, the
    columns "... claimed" and "... difference" (measured minus claimed) follow it.
    """
    columns = [(stem, metric) for metric in board.metrics for stem in board.stems]
    beside = {key for row in board.rows for key in row.claimed if key in row.cells}
    header = ["method", "recipe", "run", "kind", "reproduces", "verbatim"]
    for stem, metric in columns:
        header.append(f"{stem} {metric}")
        if (stem, metric) in beside:
            header += [f"{stem} {metric} claimed", f"{stem} {metric} difference"]
    header += ["tracks", "extra_data", "contaminated", "parameters", "gmac_per_second"]
    header += ["real_time_factor", "peak_memory_mb", "ours_leaves", "source"]
    return _csv([header, *(_wide_line(row, columns, beside) for row in board.rows)])


def _wide_line(
    row: Row, columns: Sequence[tuple[str, str]], beside: set[tuple[str, str]]
) -> list[str]:
    line = [row.method, row.recipe, run_cell(row), row.kind, row.reproduces, yes_no(row.verbatim)]
    for key in columns:
        cell = row.cells.get(key)
        line.append("" if cell is None else fixed(cell.value, 3))
        if key in beside:
            both = cell is not None and key in row.claimed
            line.append(fixed(row.claimed[key], 3) if both else "")
            line.append(fixed(difference(row, key), 3))
    line += [whole(len(row.tracks) or None), row.extra_data, contaminated(row)]
    line += [whole(row.parameters), *_cost(row), whole(row.ours_leaves)]
    return [*line, "; ".join(row.sources)]


def difference(row: Row, key: tuple[str, str]) -> float | None:
    """Measured minus claimed in dB; None where either is missing."""
    cell = row.cells.get(key)
    return None if cell is None or key not in row.claimed else cell.value - row.claimed[key]


def run_cell(row: Row) -> str:
    """The run's name; for a claimed row of ours without a score, that nobody ran it."""
    return "not run" if row.not_run else row.run


def _csv(lines: Iterable[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
