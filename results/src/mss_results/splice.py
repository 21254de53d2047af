"""Inserts boards between markers in README files.

<!-- results:begin <dataset>--<protocol> [metric=NAME] [method=NAME] -->
<!-- results:end -->
"""

import re
from collections.abc import Mapping
from pathlib import Path

from mss_results.board import Board
from mss_results.markdown import markdown

_BEGIN = re.compile(
    r"<!-- results:begin (?P<board>\S+)( metric=(?P<metric>\S+))?( method=(?P<method>.+?))? -->"
)
_END = "<!-- results:end -->"
_ANY = "<!-- results:"


def splice(text: str, file: Path, boards: Mapping[str, Board]) -> str:
    """Replace the text between each pair of markers; everything else is kept byte for byte.

    Raises:
        ValueError: with file and line, if a marker is malformed, nested or unclosed, or names a
            board that does not exist.
    """
    kept: list[str] = []
    opened = 0
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        bare = line.strip()
        if bare.startswith(_ANY):
            where = f"{file}: line {number}"
            if bare == _END:
                _check(opened > 0, f"{where} ends a board that never began: remove the line")
                opened = 0
            else:
                _check(
                    opened == 0,
                    f"{where} begins a board inside that of line {opened}: insert {_END} first",
                )
                opened = number
                kept += [line, _render(bare, where, boards).replace("\n", _line_end(line))]
                continue
        if not opened:
            kept.append(line)
    _check(opened == 0, f"{file}: line {opened} begins a board that never ends: insert {_END}")
    return "".join(kept)


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


def _line_end(line: str) -> str:
    return "\r\n" if line.endswith("\r\n") else "\n"


def _render(marker: str, where: str, boards: Mapping[str, Board]) -> str:
    match = _BEGIN.fullmatch(marker)
    if match is None:
        raise ValueError(
            f"{where} is {marker!r}: write <!-- results:begin DATASET--PROTOCOL metric=NAME "
            f"method=NAME -->, where metric and method are optional, or {_END}"
        )
    board = boards.get(match["board"])
    if board is None:
        raise ValueError(
            f"{where} asks for the board {match['board']!r}: "
            f"there are {', '.join(sorted(boards)) or 'none'}"
        )
    if match["metric"] and match["metric"] not in board.metrics:
        raise ValueError(
            f"{where} asks for the metric {match['metric']!r}: the board has "
            f"{', '.join(board.metrics)}"
        )
    # Without blank lines, Markdown takes the table as part of the comment's HTML block.
    return f"\n{markdown(board, match['method'], match['metric'])}\n"
