"""Boards as LaTeX: one booktabs tabular per metric, to \\input or to paste."""

import re
from collections.abc import Sequence

from mss_results.board import Board, Row
from mss_results.grid import about, grid, number_sources, parts, unit
from mss_results.notes import sentences

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
_NUMBERS = re.compile(r"-?[0-9.]+(-\d+| \(.* to .*\)| \[.*| \(claimed.*| of \d+| M|(, \d+)*)?")


def latex(board: Board) -> str:
    r"""The board's tables; the document needs \usepackage{booktabs}.

    A rule separates oracles and baselines from the methods. Essential notes follow each table in
    small print; other notes and the sources are comments.
    """
    sources = number_sources(board.rows)
    lines = [f"% {board.name}: written by mss-results build; needs \\usepackage{{booktabs}}"]
    for title, rows in parts(board.rows):
        for metric in board.metrics:
            lines.append("")
            lines += _tabular(board, rows, metric, sources)
            caption = [f"{title}{metric} {unit(board)}, higher is better.", *about(board)]
            lines.append(rf"\par\smallskip{{\footnotesize {escape(' '.join(caption))}\par}}")
    numbered = [f"{number}. {source}" for source, number in sources.items()]
    comments = [*sentences(board, board.rows), *numbered]
    return "\n".join([*lines, "", *(f"% {' '.join(text.split())}" for text in comments)]) + "\n"


def _tabular(board: Board, rows: Sequence[Row], metric: str, sources: dict[str, int]) -> list[str]:
    header, *body = grid(board, rows, metric, sources)
    columns = list(zip(*body, strict=True))
    align = "".join("r" if _is_numeric(column) else "l" for column in columns)
    lines = [rf"\begin{{tabular}}{{{align}}}", r"\toprule", _line(header), r"\midrule"]
    for index, (row, cells) in enumerate(zip(rows, body, strict=True)):
        if index and _is_bound(row) and not _is_bound(rows[index - 1]):
            lines.append(r"\midrule")
        lines.append(_line(cells))
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _is_bound(row: Row) -> bool:
    """Oracles and baselines are upper and lower bounds, not competing methods."""
    return row.kind in ("oracle", "baseline") or row.extra_data == "oracle"


def _is_numeric(column: Sequence[str]) -> bool:
    return all(not cell or _NUMBERS.fullmatch(cell) for cell in column)


def _line(cells: Sequence[str]) -> str:
    # Braces, or a first cell that starts with [ would be read as an argument of the previous \\.
    return "{}" + " & ".join(escape(cell) for cell in cells) + r" \\"


def escape(text: str) -> str:
    """Escape text so that LaTeX prints it literally."""
    return "".join(_SPECIAL.get(sign, sign) for sign in " ".join(text.split()))
