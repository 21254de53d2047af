"""CSV that a spreadsheet shows as it is: it takes a cell that begins with = + - or @ for a formula.

Such a name is written behind an apostrophe, as is one that begins with apostrophes before that, so
that `name_of` finds every name again; numbers are left alone.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from mss_results.small_file import decode, read_small

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def csv_text(lines: Iterable[Sequence[object]]) -> str:
    """The lines as CSV, with formulas as plain text."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_plain(str(cell)) for cell in line] for line in lines)
    return text.getvalue()


def read_columns(file: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Number and cells by column of every line of a table that we wrote.

    Raises:
        OSError: if it can't be read.
        ValueError: if it is no CSV in UTF-8, or has other columns.
    """
    content = read_small(file)
    remedy = "build it again with mss-results build"
    try:
        reader = csv.reader(io.StringIO(decode(content), newline=""), strict=True)
        lines = [(reader.line_num, line) for line in reader]
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{file} is no CSV table ({error}): {remedy}") from None
    if not lines or tuple(lines[0][1]) != tuple(columns):
        raise ValueError(f"{file} has other columns than {columns[0]}, {columns[1]}, ...: {remedy}")
    for number, line in lines:
        if len(line) != len(columns):
            raise ValueError(
                f"{file}: line {number} has {len(line)} of {len(columns)} columns: {remedy}"
            )
    return [(number, dict(zip(columns, line, strict=True))) for number, line in lines[1:]]


def name_of(cell: str) -> str:
    """The name that `csv_text` wrote into a cell."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _plain(cell: str) -> str:
    is_formula = _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if is_formula else cell
