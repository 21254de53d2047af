"""One row against the others of a column, as text: p, wins, and by how much."""

from collections.abc import Sequence
from dataclasses import dataclass

from mss_results.board import Board
from mss_results.columns import Column, Key, Pair
from mss_results.notes import p_value
from mss_results.significance import LEVEL, smallest_p
from mss_results.tables import fixed
from mss_results.track_file import AVERAGE

WILCOXON = "paired Wilcoxon test, and seeds where there are several; difference: Hodges-Lehmann"
BOOTSTRAP = (
    "paired bootstrap of the average shown, and seeds where there are several; difference: of "
    "these averages; won: tracks on which the mean of the four stems is higher"
)


@dataclass(frozen=True)
class Comparison:
    """A row against the others: `heading` says what was tested, `lines` start with a header."""

    heading: str
    lines: list[list[str]]


def compare_row(board: Board, key: Key, id: str | None) -> Comparison | None:
    """The row `id`, or the row of the highest value, against all others on the same tracks.

    Returns:
        The comparison with p by Holm over its own pairs, or None if the column has no such row.
    """
    pools = board.columns.get(key, ())
    values = {row.id: row.cells[key].value for row in board.rows if row.run and key in row.cells}
    if id is None:
        pools = pools[:1]
    for column in pools:
        chosen = id or max(column.rows, key=lambda each: values[each])
        if chosen in column.rows:
            return _comparison(column, key, chosen)
    return None


def _comparison(column: Column, key: Key, id: str) -> Comparison:
    pairs = sorted(column.against(id), key=lambda pair: _gap(pair, id)[1])
    heading = (
        f"{id} against {len(pairs)} others in {' '.join(key)} ({_test(key)}; p corrected for "
        f"{len(pairs)} pairs by Holm, and for all {len(column.pairs)} of the column, by which "
        f"ranks are; intervals are of single differences, not corrected"
        f"{_floor(column, len(pairs))}):"
    )
    of_ranks = {frozenset((pair.better, pair.worse)): pair.corrected for pair in column.pairs}
    header = ["against", "p", "p of ranks", "won", "lost", "tracks", "difference"]
    lines = [_line(pair, id, of_ranks[frozenset((pair.better, pair.worse))]) for pair in pairs]
    return Comparison(heading, [header, *lines])


def _floor(column: Column, pairs: int) -> str:
    """Where no pair can be significant however clear it is: the smallest p that is possible."""
    least = min(1.0, smallest_p(column.tracks) * pairs)
    if least < LEVEL:
        return ""
    return (
        f"; with {column.tracks} tracks the smallest of these p is never below "
        f"{smallest_p(column.tracks):.2g} times {pairs} pairs, {least:.2g}"
    )


def _test(key: Key) -> str:
    return BOOTSTRAP if key[0] == AVERAGE else WILCOXON


def _line(pair: Pair, id: str, of_ranks: float) -> list[str]:
    other = pair.worse if pair.better == id else pair.better
    wins: Sequence[int] = pair.wins if pair.better == id else pair.wins[::-1]
    low, middle, high = (_signed(each) for each in _gap(pair, id))
    ends = f" [{low}, {high}]" if low else ""
    tested = (p_value(pair.corrected), p_value(of_ranks))
    return [other, *tested, *map(str, wins), str(pair.tracks), middle + ends]


def _gap(pair: Pair, id: str) -> tuple[float, float, float]:
    """Low, middle and high of the row's lead over the other one; NaN where there is none."""
    low, high = pair.interval or (float("nan"), float("nan"))
    return (low, pair.difference, high) if pair.better == id else (-high, -pair.difference, -low)


def _signed(value: float) -> str:
    text = fixed(value, 2)
    return text if not text or text.startswith("-") else f"+{text}"
