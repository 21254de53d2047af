"""Boards as text: Markdown for files and READMEs, aligned columns for the terminal."""

import math
import re
from collections.abc import Sequence

from mss_results.board import TEST_TRACKS, Board, Row
from mss_results.tables import difference, fixed, run_cell, whole

DEMO = "Generated demo set: not comparable with MUSDB18-HQ."
AS_LISTED = (
    "The sources do not define the SDR they list: "
    "not comparable with the boards of a defined protocol."
)
_LISTED_TRACKS = 5


def markdown(board: Board, method: str | None = None, metric: str | None = None) -> str:
    """The board without a heading; with a method, its rows and the oracle and baseline rows.

    With a metric, its table alone.
    """
    rows = _chosen(board, method)
    sources = _sources(rows)
    blocks = [_escape(line) for line in _about(board)]
    if method is not None and not any(row.method == method for row in rows):
        blocks.append(f"{_escape(method)}: not run.")
    for title, part in _parts(rows):
        for each in (metric,) if metric else board.metrics:
            blocks.append(f"{title}{each} {_unit(board)}, higher is better:")
            blocks.append(_pipes(_grid(board, part, each, sources)))
    below = [f"- {_escape(line)}" for line in _below(rows)]
    blocks += ["\n".join(below)] if below else []
    if sources:
        lines = [f"{number}. {_escape(source)}" for source, number in sources.items()]
        blocks.append("Sources:\n\n" + "\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _unit(board: Board) -> str:
    unit = board.definitions[0].unit if board.definitions else "dB"
    return "in dB" if unit == "dB" else unit


def page(board: Board) -> str:
    """The Markdown file of a board: a heading, then the board."""
    return f"# {board.dataset}, {board.protocol}\n\n{markdown(board)}"


def terminal(board: Board) -> str:
    """The board in aligned columns, for reading in a terminal."""
    sources = _sources(board.rows)
    lines = [f"{board.dataset}, {board.protocol}", *_about(board)]
    for title, part in _parts(board.rows):
        for metric in board.metrics:
            lines += ["", f"{title}{metric} {_unit(board)}, higher is better:"]
            lines += _aligned(_grid(board, part, metric, sources))
    numbered = [f"{number}. {source}" for source, number in sources.items()]
    for part_lines in (_below(board.rows), numbered):
        lines += ["", *part_lines] if part_lines else []
    return "\n".join(lines) + "\n"


def _chosen(board: Board, method: str | None) -> tuple[Row, ...]:
    fixed_kinds = ("oracle", "baseline")
    return tuple(
        row
        for row in board.rows
        if method is None or row.method == method or row.kind in fixed_kinds
    )


def _parts(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """The main table, and the variants apart from it."""
    main = [row for row in rows if not row.is_variant]
    variants = [row for row in rows if row.is_variant]
    title = "Variants (a recipe with overrides, verbatim: false), "
    return [part for part in (("", main), (title, variants)) if part[1]]


def _sources(rows: Sequence[Row]) -> dict[str, int]:
    """Number the sources of claimed rows in the order of the table; a run is its own source."""
    ordered = [row for _, part in _parts(rows) for row in part if row.kind == "claimed"]
    distinct = dict.fromkeys(source for row in ordered for source in row.sources)
    return {source: number for number, source in enumerate(distinct, start=1)}


def _about(board: Board) -> list[str]:
    lines = [DEMO] if board.dataset.startswith("demo") else []
    if board.protocol.endswith("_as_listed"):
        lines.append(AS_LISTED)
    if board.definitions:
        one = board.definitions[0]
        silence = "; ".join(dict.fromkeys(each.silence for each in board.definitions))
        lines.append(
            f"Protocol {board.protocol}: {one.frames} over frames, then {one.tracks} over tracks; "
            f"silence: {silence}."
        )
    return lines


def _grid(
    board: Board, rows: Sequence[Row], metric: str, sources: dict[str, int]
) -> list[list[str]]:
    header = ["method", "recipe", "kind", "run", "extra data", *board.stems]
    lines = [[*header, "tracks", "parameters", "ours", "source"]]
    for row in rows:
        cells = [_cell(row, (stem, metric)) for stem in board.stems]
        marked = row.method + (" (contaminated)" if row.contaminated else "")
        numbers = ", ".join(str(sources[one]) for one in row.sources if one in sources)
        lines.append(
            [marked, row.recipe, row.kind, run_cell(row), row.extra_data, *cells]
            + [_tracks(board, row), _millions(row.parameters), whole(row.ours_leaves), numbers]
        )
    return _without_empty_columns(lines, keep=("method", *board.stems))


def _without_empty_columns(grid: list[list[str]], keep: Sequence[str]) -> list[list[str]]:
    columns = zip(*grid, strict=True)
    kept = [column for column in columns if column[0] in keep or any(column[1:])]
    return [list(line) for line in zip(*kept, strict=True)]


def _cell(row: Row, key: tuple[str, str]) -> str:
    cell = row.cells.get(key)
    if cell is None or math.isnan(cell.value):
        return ""
    text = fixed(cell.value, 2)
    gap = difference(row, key)
    if gap is None:
        return text
    signed = fixed(gap, 2)
    signed = signed if signed.startswith("-") else f"+{signed}"
    return f"{text} (claimed {fixed(row.claimed[key], 2)}, {signed})"


def _tracks(board: Board, row: Row) -> str:
    scored, whole_set = len(row.tracks), TEST_TRACKS.get(board.dataset)
    if not scored or whole_set in (None, scored):
        return whole(scored or None)
    return f"{scored} of {whole_set}"


def _millions(parameters: int | None) -> str:
    return "" if parameters is None else f"{fixed(parameters / 1e6, 2)} M"


def _below(rows: Sequence[Row]) -> list[str]:
    """What has to be known to read the rows."""
    return [*_legend(rows), *_contamination(rows), *_data_versions(rows), *_notes(rows)]


def _legend(rows: Sequence[Row]) -> list[str]:
    lines: list[str] = []
    if any(row.kind == "claimed" for row in rows):
        lines.append(
            "claimed: published by others; an average that the source does not list is the mean "
            "of its four stems."
        )
    if any(row.not_run for row in rows):
        lines.append("not run: a row that a recipe of ours stands for, without a score of ours.")
    if any(key in row.cells for row in rows for key in row.claimed):
        lines.append("in brackets: the claimed value, and measured minus claimed.")
    if any(row.ours_leaves for row in rows):
        lines.append("ours: how many values of the recipe neither paper nor code states.")
    return lines


def _contamination(rows: Sequence[Row]) -> list[str]:
    lines: list[str] = []
    for row in rows:
        if row.contaminated:
            listed = ", ".join(row.contaminated[:_LISTED_TRACKS])
            more = len(row.contaminated) - _LISTED_TRACKS
            lines.append(
                f"contaminated: {row.method} {row.run} was trained on {len(row.contaminated)} of "
                f"its {len(row.tracks)} test tracks: {listed}"
                + (f" and {more} more." if more > 0 else ".")
            )
    return lines


def _data_versions(rows: Sequence[Row]) -> list[str]:
    versions: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for row in rows:
        if row.fingerprint:
            name = f"{row.method} {row.run}"
            versions.setdefault((row.fingerprint, row.tracks), []).append(name)
    if len(versions) < 2:
        return []
    return [
        f"scored on different data, compare within one line only: {len(tracks)} tracks, "
        f"fingerprint {fingerprint[:8]}: {', '.join(sorted(versions[fingerprint, tracks]))}."
        for fingerprint, tracks in sorted(versions)
    ]


def _notes(rows: Sequence[Row]) -> list[str]:
    noted: dict[str, list[str]] = {}
    for row in rows:
        for note in row.notes:
            noted.setdefault(note, []).append(row.recipe or row.method)
    return [f"{', '.join(dict.fromkeys(names))}: {note}" for note, names in noted.items()]


def _escape(text: str) -> str:
    """Text that Markdown shows as it stands; a source may hold any character."""
    return re.sub(r"([\\|*<>\[\]`])", r"\\\1", " ".join(text.split()))


def _pipes(grid: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(_escape(cell) for cell in line) + " |" for line in grid]
    lines.insert(1, "|" + " --- |" * len(grid[0]))
    return "\n".join(lines)


def _aligned(grid: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*grid, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in grid
    ]
