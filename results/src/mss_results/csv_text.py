"""CSV that a spreadsheet shows as it is: it takes a cell that begins with = + - or @ for a formula.

Such a name is written behind an apostrophe, as is one that begins with apostrophes before that, so
that `name_of` finds every name again; numbers are left alone.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def csv_text(lines: Iterable[Sequence[object]]) -> str:
    """The lines as CSV, with formulas as plain text."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_plain(str(cell)) for cell in line] for line in lines)
    return text.getvalue()


def name_of(cell: str) -> str:
    """The name that `csv_text` wrote into a cell."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _plain(cell: str) -> str:
    is_formula = _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if is_formula else cell
