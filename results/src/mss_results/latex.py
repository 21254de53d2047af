"""Boards as LaTeX: booktabs tables that fit the column of an article."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mss_results.board import Board, Row, is_whole_test_set
from mss_results.grid import about, number_sources, parts, rank_text, unit
from mss_results.notes import sentences
from mss_results.tables import fixed
from mss_results.text_width import footnote_width, superscript_width

ONE_COLUMN = 345.0  # points: \columnwidth of an article at 10 points
TWO_COLUMNS = 229.0  # the same with the option twocolumn
_GAP = 3.0  # \tabcolsep, points
_NARROWEST = 45.0  # of the column of names: four wide letters and an indentation
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
_SHORT = {"accompaniment": "acc.", "average": "avg."}
_MARKS = {
    "c": "claimed by the source, not measured here",
    "e": "trained on extra data",
    "x": "trained or validated on test tracks",
    "v": "a variant of the recipe",
    "p": "a part of the test tracks",
    "m": "mean over several seeds",
}
_WORD = re.compile(r"[^\s\-_/+@.,]+")
_UNLIKELY = r"\penalty5000{}"  # a break that costs more than a short line


@dataclass(frozen=True)
class Table:
    """What a table shows.

    Attributes:
        board, metric: where its values are from.
        rows: its lines, from top to bottom.
        columns: stems, or the average.
        bold: whether the best value of a column is bold, among the rows that compete.
        with_rank: whether the rank in the board's main column comes first.
        width: points that it may take.
    """

    board: Board
    metric: str
    rows: Sequence[Row]
    columns: Sequence[str]
    bold: bool
    with_rank: bool
    width: float


def latex(board: Board) -> str:
    r"""The board's tables, one per metric; the document needs \usepackage{booktabs}.

    Intervals, differences to claims and costs are in the other formats: here they would not fit.
    A rule separates oracles and baselines from the methods. Essential notes follow each table in
    small print; other notes and the sources are comments.
    """
    lines = [f"% {board.name}: written by mss-results build; needs \\usepackage{{booktabs}}"]
    for title, part in parts(without_repeated_claims(board.rows)):
        for metric in board.metrics:
            rows = scored_rows(part, metric)
            if not rows:
                continue
            columns = [
                stem for stem in board.stems if any((stem, metric) in row.cells for row in rows)
            ]
            table = Table(board, metric, rows, columns, False, True, ONE_COLUMN)
            lines += ["", *tabular(table), *caption(table, title, about(board, [metric]))]
    sources = number_sources(board.rows)
    numbered = [f"{number}. {source}" for source, number in sources.items()]
    comments = [*sentences(board, board.rows), *numbered]
    return "\n".join([*lines, "", *(f"% {' '.join(text.split())}" for text in comments)]) + "\n"


def without_repeated_claims(rows: Sequence[Row]) -> list[Row]:
    """The rows without claims about a method that was measured."""
    measured = {row.method for row in rows if row.run}
    return [row for row in rows if row.run or row.method not in measured]


def scored_rows(rows: Sequence[Row], metric: str) -> list[Row]:
    """The rows that have a value in the metric."""
    return [
        row
        for row in rows
        if any(key[1] == metric and cell.is_scored for key, cell in row.cells.items())
    ]


def tabular(table: Table) -> list[str]:
    r"""Lines of a tabular in \footnotesize that is at most as wide as the table may be.

    Names that would make it wider are broken into lines.

    Raises:
        ValueError: if the columns leave no room for the names.
    """
    header = [_SHORT.get(stem, stem) for stem in table.columns]
    cells = [[value(row, stem, table.metric) for stem in table.columns] for row in table.rows]
    lead = table.board.lead(table.metric)
    ranks = [rank_text(row, lead) for row in table.rows] if table.with_rank else []
    ranks = ranks if any(ranks) else []
    widths = [
        max(footnote_width(text, bold=table.bold) for text in column)
        for column in zip(header, *cells, strict=True)
    ]
    widths += [max(map(footnote_width, ("rank", *ranks)))] if ranks else []
    align, names = _first_column(table, table.width - sum(widths) - 2 * _GAP * len(widths))
    layout = ("l" if ranks else "") + align + "r" * len(table.columns)
    lines = [
        r"{\noindent\footnotesize\setlength{\tabcolsep}{3pt}%",
        rf"\begin{{tabular}}{{@{{}}{layout}@{{}}}}",
        r"\toprule",
        _line([*(["rank"] if ranks else []), "method", *header]),
        r"\midrule",
    ]
    for index, row in enumerate(table.rows):
        if index and is_bound(row) and not is_bound(table.rows[index - 1]):
            lines.append(r"\midrule")
        values = _values(table, row, cells[index])
        lines.append(_line([*([ranks[index]] if ranks else []), names[index], *values]))
    return [*lines, r"\bottomrule", r"\end{tabular}\par}"]


def _first_column(table: Table, room: float) -> tuple[str, list[str]]:
    """The alignment of the column of names, and its cells, for so many points."""
    if not room >= _NARROWEST:
        raise ValueError(
            f"{len(table.columns)} columns leave {max(room, 0):.0f} points for the names in a "
            f"table of {table.width:.0f}: choose fewer --columns or a greater --width"
        )
    names = [(name(row, table.rows), marks(row, table.board.dataset)) for row in table.rows]
    widest = max(footnote_width(text) + superscript_width(mark) for text, mark in names)
    is_broken = widest > room
    start = r"\raggedright\hangindent=1em " if is_broken else ""
    cells = [
        start
        + (breakable(text, 4) if is_broken else escape(text))
        + (rf"\textsuperscript{{{mark}}}" if mark else "")
        for text, mark in names
    ]
    return (f"p{{{int(room)}pt}}" if is_broken else "l"), cells


def _values(table: Table, row: Row, cells: Sequence[str]) -> list[str]:
    """The cells of a row, the best of each column in bold if asked for."""
    best = best_values(table.rows, table.columns, table.metric) if table.bold else {}
    return [
        rf"\textbf{{{cell}}}" if cell and cell == best.get(stem) and competes(row) else cell
        for stem, cell in zip(table.columns, cells, strict=True)
    ]


def caption(table: Table, title: str, more: Sequence[str]) -> list[str]:
    """What the numbers and marks mean, in small print; any line is as wide as the column."""
    used = dict.fromkeys(mark for row in table.rows for mark in marks(row, table.board.dataset))
    legend = [f"{mark}: {_MARKS[mark]}." for mark in used]
    text = " ".join(
        [f"{title}{table.metric} {unit(table.board)}, higher is better.", *legend, *more]
    )
    return [
        rf"\par\smallskip{{\noindent\footnotesize\raggedright {breakable(text, 24)}\par}}\medskip"
    ]


def value(row: Row, stem: str, metric: str) -> str:
    """A cell with two decimals; empty if there is no score."""
    cell = row.cells.get((stem, metric))
    return "" if cell is None else fixed(cell.value, 2)


def best_values(rows: Sequence[Row], columns: Sequence[str], metric: str) -> dict[str, str]:
    """Column -> its best value as printed, over the rows that compete."""
    competing = [row for row in rows if competes(row)]
    best: dict[str, str] = {}
    for stem in columns:
        printed = [text for row in competing if (text := value(row, stem, metric))]
        if printed:
            best[stem] = max(printed, key=float)
    return best


def is_bound(row: Row) -> bool:
    """Oracles and baselines are upper and lower bounds, not competing methods."""
    return row.kind in ("oracle", "baseline") or row.extra_data == "oracle"


def competes(row: Row) -> bool:
    """Neither a bound nor trained on test tracks."""
    return not is_bound(row) and not row.contaminated


def name(row: Row, rows: Sequence[Row]) -> str:
    """The method, with the run or recipe if other rows of the same kind have this method."""
    same = [other for other in rows if other.method == row.method and other.kind == row.kind]
    own = row.run or row.recipe.split("/")[-1]
    return row.method if len(same) == 1 else f"{row.method} {own}".strip()


def marks(row: Row, dataset: str) -> str:
    """One letter for each thing to know about a row: see _MARKS."""
    applies = {
        "c": row.kind == "claimed",
        "e": row.extra_data == "yes",
        "x": bool(row.contaminated),
        "v": row.is_variant,
        "p": bool(row.run) and not is_whole_test_set(dataset, row.tracks),
        "m": len(row.seeds) > 1,
    }
    return "".join(mark for mark, true in applies.items() if true)


def _line(cells: Sequence[str]) -> str:
    # Braces, or a first cell that starts with [ would be read as an argument of the previous \\.
    return "{}" + " & ".join(cells) + r" \\"


def escape(text: str) -> str:
    """Escape text so that LaTeX prints it literally."""
    return "".join(_SPECIAL.get(sign, sign) for sign in " ".join(text.split()))


def breakable(text: str, longest: int) -> str:
    """Escaped text that LaTeX may break after signs and, if it must, within longer words."""
    plain = " ".join(text.replace("\0", " ").replace("\1", " ").split())
    words = _WORD.sub(lambda word: "\0".join(_pieces(word[0], longest)), plain)
    words = re.sub(r"([_/+@.,-])(?=\S)", "\\1\1", words)
    return escape(words).replace("\0", _UNLIKELY).replace("\1", r"\allowbreak{}")


def _pieces(word: str, longest: int) -> list[str]:
    """The word, or groups of four letters if it is longer."""
    if len(word) <= longest:
        return [word]
    return [word[start : start + 4] for start in range(0, len(word), 4)]
