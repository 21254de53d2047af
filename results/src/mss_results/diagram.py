"""A column as a picture: values, intervals, and bars that join rows which do not differ."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from mss_results.board import Board, Row
from mss_results.columns import Column, Key
from mss_results.grid import unit
from mss_results.tables import fixed
from mss_results.track_file import AVERAGE

_LINE, _LETTER, _AXIS, _BAR = 22, 7.7, 340, 16  # pixels: a row, a letter, the axis, a bar's column
_TOP, _BOTTOM, _GAP = 44, 76, 14
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)

#: For a file shown on its own, or as an image, by a reader in the dark.
_DARK = "<style>@media (prefers-color-scheme: dark) { :root { color: #ddd } }</style>"


def diagram(board: Board, key: Key) -> str:
    """SVG text of the largest pool of rows in a column, the best on top.

    Like a critical-difference diagram, but from the tests of the table: a bar joins rows of which
    no two differ significantly, with a dot at each of them; there is one bar for every largest
    such group. Text and lines have the colour of the text around the picture.

    Raises:
        ValueError: if the column has no two rows on the same tracks.
    """
    pools = board.columns.get(key, ())
    if not pools:
        raise ValueError(
            f"board {board.name} has no two rows on the same tracks in {' '.join(key)}: "
            f"there is nothing to draw, choose another --stem or --metric"
        )
    column = pools[0]
    chosen = [row for row in board.rows if row.id in column.rows and row.run]
    rows = sorted(chosen, key=lambda row: (-row.cells[key].value, row.id))
    bars = cliques([row.id for row in rows], column)
    labels = _labels(rows)
    left = _GAP + _LETTER * max(map(len, labels.values()))
    right = left + _AXIS + 7 * _LETTER
    parts = [*_values(rows, labels, key, left), *_bars(bars, right)]
    title = f"{board.dataset}, {board.protocol}: {' '.join(key)} {unit(board)}"
    captions = _captions(column, key)
    widest = 0.85 * _LETTER * max(map(len, captions))
    width = 2 * _GAP + max(right + _BAR * len(bars), widest)
    return _framed(title, parts, captions, width, _TOP + _LINE * len(rows) + _BOTTOM)


def _framed(
    title: str, parts: Sequence[str], captions: Sequence[str], width: float, height: float
) -> str:
    """The parts with a title above and captions below."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
        f'width="{width:.0f}" height="{height}" role="img" font-family="sans-serif" '
        f'font-size="13" fill="currentColor" stroke="currentColor">',
        f"<title>{escape(title)}</title>",
        _DARK,
        _text(_GAP, 20, title, 'font-weight="bold"'),
        *parts,
    ]
    for line, caption in enumerate(captions):
        lines.append(_text(_GAP, height - 34 + 16 * line, caption, 'font-size="11"'))
    return "\n".join([*lines, "</svg>\n"])


def cliques(ids: Sequence[str], column: Column) -> list[tuple[int, ...]]:
    """The largest groups of rows of which no two differ, as places in `ids`; none of one row.

    Source: the algorithm of Bron and Kerbosch 1973, with a pivot.
    """
    place = {id: index for index, id in enumerate(ids)}
    apart = {
        frozenset((place[pair.better], place[pair.worse]))
        for pair in column.pairs
        if pair.is_significant
    }
    alike = {
        one: {two for two in range(len(ids)) if one != two and frozenset((one, two)) not in apart}
        for one in range(len(ids))
    }
    found = _extend((), set(alike), set(), alike)
    return sorted(tuple(sorted(group)) for group in found if len(group) > 1)


def _extend(
    group: tuple[int, ...], more: set[int], done: set[int], alike: Mapping[int, set[int]]
) -> Iterator[tuple[int, ...]]:
    if not more and not done:
        yield group
    if not more:
        return
    pivot = max(more | done, key=lambda each: len(alike[each] & more))
    for each in sorted(more - alike[pivot]):
        yield from _extend((*group, each), more & alike[each], done & alike[each], alike)
        more = more - {each}
        done = done | {each}


def _labels(rows: Sequence[Row]) -> dict[str, str]:
    """Row id -> the method, with the run where the method has several."""
    methods = [row.method for row in rows]
    return {
        row.id: row.method if methods.count(row.method) == 1 else f"{row.method} {row.run}"
        for row in rows
    }


def _captions(column: Column, key: Key) -> list[str]:
    test = "paired bootstrap" if key[0] == AVERAGE else "paired Wilcoxon test"
    joined = (
        f"Bars join rows that do not differ significantly ({test}, Holm over {len(column.pairs)} "
        f"pairs, 0.05)."
    )
    if not column.is_separable:
        joined = f"{column.tracks} tracks cannot separate any two of {len(column.rows)} rows."
    return [f"Dots and lines: values and 95 % intervals, {column.tracks} tracks.", joined]


def _values(rows: Sequence[Row], labels: Mapping[str, str], key: Key, left: float) -> Iterator[str]:
    cells = [row.cells[key] for row in rows]
    ends = [cell.interval or (cell.value, cell.value) for cell in cells]
    step, low, high = _axis(min(low for low, _ in ends), max(high for _, high in ends))

    def x(value: float) -> float:
        return left + _GAP + (value - low) / (high - low) * (_AXIS - 2 * _GAP)

    bottom = _TOP + _LINE * len(rows)
    for tick in range(round((high - low) / step) + 1):
        value = low + tick * step
        yield _line(x(value), _TOP - 6, x(value), bottom, 'opacity="0.2"')
        text = fixed(value, 0 if step >= 1 else 1)
        yield _text(x(value), bottom + 16, text, 'font-size="11" text-anchor="middle"')
    for index, (row, cell, (from_, to)) in enumerate(zip(rows, cells, ends, strict=True)):
        y = _TOP + _LINE * index + _LINE / 2
        yield _text(left, y + 4, labels[row.id], 'text-anchor="end"')
        yield _line(x(from_), y, x(to), y, 'stroke-width="1.5"')
        yield _dot(x(cell.value), y, 4)
        yield _text(left + _AXIS, y + 4, fixed(cell.value, 2))


def _axis(low: float, high: float) -> tuple[float, float, float]:
    """Step, start and end of an axis with at most eight steps."""
    span = max(high - low, 0.1)
    step = next((step for step in _STEPS if span <= 6 * step), span / 6)
    return step, math.floor(low / step) * step, math.ceil(max(high, low + 0.1) / step) * step


def _bars(bars: Sequence[tuple[int, ...]], left: float) -> Iterator[str]:
    for column, members in enumerate(bars):
        x = left + _BAR * column + _BAR / 2
        top, bottom = (_TOP + _LINE * place + _LINE / 2 for place in (members[0], members[-1]))
        yield _line(x, top, x, bottom, 'stroke-width="3"')
        for place in members:
            yield _dot(x, _TOP + _LINE * place + _LINE / 2, 4.5)


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>'


def _dot(x: float, y: float, radius: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" stroke="none"/>'


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" stroke="none" {style}>{escape(text)}</text>'
