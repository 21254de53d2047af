"""The content of text tables: cells, parts, and the sentences above them."""

from collections.abc import Sequence

from mss_results.board import TEST_TRACKS, Board, Row
from mss_results.projections import caution
from mss_results.tables import difference, fixed, run_cell, whole

DEMO = "Generated demo set: not comparable with MUSDB18-HQ."
AS_LISTED = (
    "The sources do not define the SDR they report: "
    "not comparable with boards whose protocol is defined."
)


def unit(board: Board) -> str:
    """The unit, as it reads after the metric's name."""
    unit = board.definitions[0].unit if board.definitions else "dB"
    return "in dB" if unit == "dB" else unit


def parts(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Title and rows of the main table and of the variants, without empty ones."""
    main = [row for row in rows if not row.is_variant]
    variants = [row for row in rows if row.is_variant]
    title = "Variants (a recipe with overrides, verbatim: false), "
    return [part for part in (("", main), (title, variants)) if part[1]]


def number_sources(rows: Sequence[Row]) -> dict[str, int]:
    """Number the sources of claims in the order of the table; runs need no source."""
    ordered = [row for _, part in parts(rows) for row in part]
    distinct = dict.fromkeys(source for row in ordered for source in _claim_sources(row))
    return {source: number for number, source in enumerate(distinct, start=1)}


def _claim_sources(row: Row) -> tuple[str, ...]:
    """Without the names of the runs, which come first."""
    return row.sources[len(row.parts) or 1 :] if row.run else row.sources


def has_metric(row: Row, metric: str) -> bool:
    """Whether the row was scored in the metric, or claims something about it."""
    return any(key[1] == metric for key in (*row.cells, *row.claimed))


def about(board: Board, metrics: Sequence[str] | None = None) -> list[str]:
    """What a reader must know before reading the board, in these metrics or all."""
    lines = [DEMO] if board.dataset.startswith("demo") else []
    if board.protocol.endswith("_as_listed"):
        lines.append(AS_LISTED)
    if board.definitions:
        first = board.definitions[0]  # under one id, all state the same rules
        lines.append(
            f"Protocol {board.protocol}: {first.frames} over frames, then {first.tracks} over "
            f"tracks; silence: {first.silence}."
        )
    return lines + caution(board.rows, board.metrics if metrics is None else metrics)


def grid(
    board: Board, rows: Sequence[Row], metric: str, sources: dict[str, int]
) -> list[list[str]]:
    """Header and one line of cells per row, without empty columns."""
    header = ["rank", "method", "recipe", "kind", "run", "extra data", *board.stems]
    lines = [[*header, "seeds", "tracks", "parameters", "second-hand", "ours", "source"]]
    lead = board.lead(metric)
    for row in rows:
        cells = [_cell(row, (stem, metric), (stem, metric) == lead) for stem in board.stems]
        marked = row.method + (" (contaminated)" if row.contaminated else "")
        numbers = ", ".join(str(sources[each]) for each in _claim_sources(row))
        lines.append(
            [rank_text(row, lead), marked, row.recipe, row.kind, run_cell(row), row.extra_data]
            + [*cells, _seeds(row, lead), _tracks(board, row), _millions(row.parameters)]
            + [whole(row.second_hand_leaves), whole(row.ours_leaves), numbers]
        )
    return _without_empty_columns(lines, keep=("method", *board.stems))


def _without_empty_columns(grid: list[list[str]], keep: Sequence[str]) -> list[list[str]]:
    columns = zip(*grid, strict=True)
    kept = [column for column in columns if column[0] in keep or any(column[1:])]
    return [list(line) for line in zip(*kept, strict=True)]


def rank_text(row: Row, key: tuple[str, str]) -> str:
    """The rank, such as 1 or 3-5; empty for unranked rows."""
    return str(row.ranks.get(key, ""))


def _seeds(row: Row, lead: tuple[str, str]) -> str:
    """The number of seeds, and the range of the main column over them."""
    cell = row.cells.get(lead)
    if cell is None or not cell.by_seed:
        return whole(len(row.seeds) or None)
    return f"{len(row.seeds)} ({fixed(min(cell.by_seed), 2)} to {fixed(max(cell.by_seed), 2)})"


def _cell(row: Row, key: tuple[str, str], with_interval: bool) -> str:
    cell = row.cells.get(key)
    if cell is None or not cell.is_scored:
        return f"claimed {fixed(row.claimed[key], 2)}" if key in row.claimed else ""
    text = fixed(cell.value, 2)
    if with_interval and cell.interval:
        text += " [{}, {}]".format(*(fixed(end, 2) for end in cell.interval))
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
