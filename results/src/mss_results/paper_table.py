"""mss-results table: chosen rows and columns of a board, for an article."""

import argparse
import sys
from collections.abc import Iterable, Sequence

from mss_results.board import Board, Row
from mss_results.csv_text import csv_text
from mss_results.latex import (
    TWO_COLUMNS,
    Table,
    best_values,
    caption,
    competes,
    name,
    scored_rows,
    tabular,
    value,
    without_repeated_claims,
)
from mss_results.markdown import escape
from mss_results.output import say, say_lines
from mss_results.tables import contaminated, fixed, yes_no
from mss_results.track_file import AVERAGE, STEMS

_TEXT = "print chosen rows and columns of a board as a table for an article"
FORMATS = ("markdown", "latex", "csv")


def add_table(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> argparse.ArgumentParser:
    """Add the verb without its input folders."""
    verb = verbs.add_parser("table", help=_TEXT, description=_TEXT, allow_abbrev=False)
    add = verb.add_argument
    add("board", metavar="BOARD", help="musdb18hq--bsseval_v4@1 and the like")
    add("--metric", help="the board's first metric if left out")
    add(
        "--columns",
        nargs="+",
        metavar="STEM",
        help="of vocals, drums, bass, other, accompaniment, average (the four and their average)",
    )
    add(
        "--rows",
        nargs="+",
        metavar="NAME",
        help="methods in the order of the table, METHOD/RUN for one run, METHOD/claimed for a "
        "claim about a measured method (all rows but such claims and variants)",
    )
    add("--bold", choices=("best", "none"), default="none", help="best: of each column")
    add(
        "--width",
        type=float,
        default=TWO_COLUMNS,
        metavar="POINTS",
        help=f"for LaTeX; 345 is an article in one column ({TWO_COLUMNS:.0f}, in two)",
    )
    group = verb.add_mutually_exclusive_group()
    for each in FORMATS:
        group.add_argument(f"--{each}", dest="format", action="store_const", const=each)
    verb.set_defaults(format=FORMATS[0], splice=(), out=None, audio=None)
    return verb


def print_table(boards: Sequence[Board], chosen: argparse.Namespace) -> None:
    """Print the table, and on stderr which rows have no value in it.

    Raises:
        ValueError: if there is no such board, metric, column or row.
    """
    by_name = {board.name: board for board in boards}
    board = by_name[_check("BOARD", chosen.board, by_name)]
    metric = _check("--metric", chosen.metric or board.metrics[0], board.metrics)
    columns = chosen.columns or [stem for stem in (*STEMS, AVERAGE) if stem in board.stems]
    for stem in columns:
        _check("--columns", stem, board.stems)
        if columns.count(stem) > 1:
            raise ValueError(f"--columns names {stem} {columns.count(stem)} times: name it once")
    asked = _rows(board, chosen.rows) if chosen.rows else _usual_rows(board)
    rows = [
        row
        for row in scored_rows(asked, metric)
        if any(value(row, stem, metric) for stem in columns)
    ]
    left_out = [row_name(row) for row in asked if row not in rows]
    if not rows:
        raise ValueError(f"no row of {board.name} has a value of {metric} in {', '.join(columns)}")
    table = Table(board, metric, rows, columns, chosen.bold == "best", False, chosen.width)
    write = {"latex": as_latex, "markdown": as_markdown, "csv": as_csv}[chosen.format]
    say_lines(write(table))
    if left_out:
        say(f"left out, without a value of {metric}: {', '.join(left_out)}", sys.stderr)
    variants = [row_name(row) for row in board.rows if row.is_variant and row not in asked]
    if variants and not chosen.rows:
        say(f"left out, variants that --rows may name: {', '.join(variants)}", sys.stderr)


def _check(what: str, name: str, known: Iterable[str]) -> str:
    if name not in known:
        raise ValueError(f"{what} is {name!r}: choose from {', '.join(known)}")
    return name


def row_name(row: Row) -> str:
    """What --rows calls a row: METHOD/RUN, or METHOD/claimed."""
    return f"{row.method}/{row.run or 'claimed'}"


def _usual_rows(board: Board) -> list[Row]:
    return [row for row in without_repeated_claims(board.rows) if not row.is_variant]


def _rows(board: Board, names: Sequence[str]) -> list[Row]:
    """The rows of these names, in their order.

    A method stands for its runs that are no variants, or else its variants, or else its claims.
    """
    chosen: list[Row] = []
    for each in names:
        exact = [row for row in board.rows if row_name(row) == each]
        method = [row for row in board.rows if row.method == each]
        runs = [row for row in method if row.run]
        found = exact or [row for row in runs if not row.is_variant] or runs or method
        if not found:
            methods = dict.fromkeys(row.method for row in board.rows)
            raise ValueError(f"--rows names {each!r}: {board.name} has {', '.join(methods)}")
        chosen += [row for row in found if row not in chosen]
    return chosen


def as_latex(table: Table) -> str:
    r"""A booktabs table and a line about it, which may become the article's caption."""
    first = f"% {table.board.name}: needs \\usepackage{{booktabs}}"
    about = f"{table.board.dataset}, {table.board.protocol}."
    return "\n".join([first, *tabular(table), *caption(table, "", [about])]) + "\n"


def as_markdown(table: Table) -> str:
    best = best_values(table.rows, table.columns, table.metric) if table.bold else {}
    lines = [["method", *map(escape, table.columns)]]
    for row in table.rows:
        cells = [escape(_named(row, table))]
        for stem in table.columns:
            text = value(row, stem, table.metric)
            is_best = bool(text) and text == best.get(stem) and competes(row)
            cells.append(f"**{text}**" if is_best else text)
        lines.append(cells)
    texts = ["| " + " | ".join(cells) + " |" for cells in lines]
    return "\n".join([texts[0], "| --- |" + " ---: |" * len(table.columns), *texts[1:]]) + "\n"


def as_csv(table: Table) -> str:
    """Three decimals, as in the other CSV files."""
    facts = ["method", "run", "kind", "extra_data", "contaminated", "verbatim"]
    lines = [[*facts, *table.columns]]
    for row in table.rows:
        cells = [row.cells.get((stem, table.metric)) for stem in table.columns]
        values = ["" if cell is None else fixed(cell.value, 3) for cell in cells]
        known = [row.extra_data, contaminated(row), yes_no(row.verbatim)]
        lines.append([row.method, row.run, row.kind, *known, *values])
    return csv_text(lines)


def _named(row: Row, table: Table) -> str:
    applies = {
        "(claimed)": row.kind == "claimed",
        "(contaminated)": bool(row.contaminated),
        "(variant)": row.is_variant,
        "(extra data)": row.extra_data == "yes",
    }
    return " ".join([name(row, table.rows), *(mark for mark, true in applies.items() if true)])
