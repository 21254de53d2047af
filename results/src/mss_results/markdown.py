"""Boards as text: Markdown for files and READMEs, aligned columns for the terminal."""

import re
from collections.abc import Sequence

from mss_results.board import Board, Row
from mss_results.columns import Key
from mss_results.grid import about, grid, has_metric, number_sources, parts, unit
from mss_results.notes import sentences
from mss_results.pairs import compare_row
from mss_results.published import joined_rows


def markdown(board: Board, method: str | None = None, metric: str | None = None) -> str:
    """The board without a heading.

    Args:
        board: the board.
        method: show only this method's rows, and oracles and baselines.
        metric: show only this metric's table.
    """
    rows = _chosen(joined_rows(board), method)
    sources = number_sources(rows)
    shown = None if metric is None else (metric,)
    blocks = [escape(line) for line in about(board, shown)]
    if method is not None and not any(row.method == method for row in rows):
        blocks.append(f"{escape(method)}: not run.")
    for title, part in parts(rows):
        for each in (metric,) if metric else board.metrics:
            scored = [row for row in part if has_metric(row, each)]
            if scored:
                blocks.append(escape(f"{title}{each} {unit(board)}, higher is better:"))
                blocks.append(_pipes(grid(board, scored, each, sources)))
    below = [f"- {escape(line)}" for line in sentences(board, rows, shown)]
    blocks += ["\n".join(below)] if below else []
    if sources:
        lines = [f"{number}. {escape(source)}" for source, number in sources.items()]
        blocks.append("Sources:\n\n" + "\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def page(board: Board) -> str:
    """The Markdown file of a board."""
    return f"# {escape(board.dataset)}, {escape(board.protocol)}\n\n{markdown(board)}"


def terminal(board: Board, keys: Sequence[Key] = (), against: str | None = None) -> str:
    """The board in aligned columns, for a terminal.

    Args:
        board: the board.
        keys: (stem, metric) of the columns in which rows are compared one by one; the main column
            of every metric if there are none. Only these metrics are shown.
        against: id of the row that all others are compared with. Without it, that is the best
            row, in columns whose tracks are too few for ranks.
    """
    keys = keys or [board.lead(metric) for metric in board.metrics]
    rows = joined_rows(board)
    sources = number_sources(rows)
    shown = [metric for metric in board.metrics if metric in {key[1] for key in keys}]
    lines = [f"{board.dataset}, {board.protocol}", *about(board, shown)]
    for title, part in parts(rows):
        for metric in dict.fromkeys(metric for _, metric in keys):
            scored = [row for row in part if has_metric(row, metric)]
            if scored:
                lines += ["", f"{title}{metric} {unit(board)}, higher is better:"]
                lines += _aligned(grid(board, scored, metric, sources))
    for key in keys:
        pools = board.columns.get(key, ())
        if against or not all(column.is_separable for column in pools[:1]):
            compared = compare_row(board, key, against)
            if compared is not None:
                lines += ["", compared.heading, *_aligned(compared.lines)]
    numbered = [f"{number}. {source}" for source, number in sources.items()]
    for part_lines in (sentences(board, rows, shown), numbered):
        lines += ["", *part_lines] if part_lines else []
    return "\n".join(lines) + "\n"


def _chosen(rows: Sequence[Row], method: str | None) -> tuple[Row, ...]:
    fixed_kinds = ("oracle", "baseline")
    return tuple(
        row for row in rows if method is None or row.method == method or row.kind in fixed_kinds
    )


def escape(text: str) -> str:
    """Escape text so that Markdown shows it literally; sources may contain any character."""
    return re.sub(r"([\\|*<>\[\]`])", r"\\\1", " ".join(text.split()))


def _pipes(grid: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(escape(cell) for cell in line) + " |" for line in grid]
    lines.insert(1, "|" + " --- |" * len(grid[0]))
    return "\n".join(lines)


def _aligned(grid: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*grid, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in grid
    ]
