"""The sentences below a board: legend, training data, notes."""

from collections.abc import Sequence

from mss_results.board import Board, Row
from mss_results.columns import Column
from mss_results.intervals import LEVEL
from mss_results.significance import LEVEL as LEVEL_OF_TESTS
from mss_results.significance import smallest_p

RANKS = (
    "rank: from one plus the number of rows that are significantly better to the number of ranked "
    "rows less those that are significantly worse (paired Wilcoxon test over tracks, for the "
    "average a paired bootstrap, and over seeds where a row has several; Holm correction over all "
    "pairs of the column, 0.05); claims, variants, contaminated rows, oracles, baselines, partial "
    "test sets and rows with no other row on the same data are not ranked."
)
ONE_SEED = (
    "rows of one seed: their ranks and intervals are for other songs, and say nothing about other "
    "seeds."
)
_LISTED_TRACKS = 5


def sentences(board: Board, rows: Sequence[Row], metrics: Sequence[str] | None = None) -> list[str]:
    """What a reader must know to interpret these rows of the board, in these metrics or all."""
    shown = board.metrics if metrics is None else metrics
    return [
        *_legend(rows),
        *_unseparated(board, rows, shown),
        *_missing(rows),
        *_contamination(rows),
        *_data_versions(rows),
        *_notes(rows),
    ]


def _legend(rows: Sequence[Row]) -> list[str]:
    lines: list[str] = []
    if any(row.kind == "claimed" or row.claimed for row in rows):
        lines.append(
            "claimed: published values; where the source gives no average, it is the mean of the "
            "four stems."
        )
    if any(row.not_run for row in rows):
        lines.append("not run: one of our recipes reproduces the row, but has no score yet.")
    if any(cell.interval for row in rows for cell in row.cells.values()):
        lines.append(
            f"in square brackets: {LEVEL:.0%} interval over tracks, and over seeds if there are "
            f"several; the CSV table has those of the other columns."
        )
    if any(row.ranks for row in rows):
        lines.append(RANKS)
    if any(row.ranks and len(row.seeds) == 1 for row in rows):
        lines.append(ONE_SEED)
    if any(row.parts for row in rows):
        lines.append(
            "several seeds: the mean of the runs; in parentheses their range in the main column."
        )
    if any(key in row.cells for row in rows for key in row.claimed):
        lines.append("in parentheses: the claimed value, and measured minus claimed.")
    if any(row.second_hand_leaves is not None for row in rows):
        lines.append(
            "second-hand: number of recipe values that others say the paper states; empty for runs "
            "older than this count."
        )
    if any(row.ours_leaves for row in rows):
        lines.append("ours: number of recipe values that neither the paper nor its code states.")
    return lines


def _unseparated(board: Board, rows: Sequence[Row], metrics: Sequence[str]) -> list[str]:
    """The main columns whose tracks are too few for ranks."""
    ids = {row.id for row in rows if row.run}
    found: dict[str, list[str]] = {}
    for metric in metrics:
        for column in board.columns.get(board.lead(metric), ()):
            if not column.is_separable and ids & set(column.rows):
                text = f"{p_value(column.friedman)} ({metric})"
                found.setdefault(_too_few(column), []).append(text if column.friedman else "")
    return [
        f"{sentence}; Friedman's p that all score alike: {', '.join(ps)}." if any(ps) else sentence
        for sentence, ps in found.items()
    ]


def _too_few(column: Column) -> str:
    return (
        f"no ranks: {column.tracks} tracks cannot separate any two of {len(column.rows)} rows, as "
        f"p is at least {smallest_p(column.tracks):.2g} and is corrected for {len(column.pairs)} "
        f"pairs; mss-results show --against METHOD/RUN compares rows with one of them"
    )


def p_value(p: float | None) -> str:
    """Two significant digits; never rounded up to the level of significance or down to 0."""
    if p is None:
        return ""
    if p < 0.0001:
        return "< 0.0001"
    text = f"{p:.2g}"
    return "< 0.05" if p < LEVEL_OF_TESTS <= float(text) else text


def _missing(rows: Sequence[Row]) -> list[str]:
    """A score says little without an upper and a lower bound."""
    kinds = {row.kind for row in rows}
    if "measured" not in kinds:
        return []
    wanted = {"oracle": "an oracle", "baseline": "the mixture as every stem"}
    absent = " and ".join(text for kind, text in wanted.items() if kind not in kinds)
    return [f"missing on this board: {absent}."] if absent else []


def _contamination(rows: Sequence[Row]) -> list[str]:
    lines: list[str] = []
    for row in rows:
        if row.contaminated:
            listed = ", ".join(row.contaminated[:_LISTED_TRACKS])
            more = len(row.contaminated) - _LISTED_TRACKS
            lines.append(
                f"contaminated: {row.method} {row.run} was trained or validated on "
                f"{len(row.contaminated)} of its {len(row.tracks)} test tracks: {listed}"
                + (f" and {more} more." if more > 0 else ".")
            )
    unknown = [f"{row.method} {row.run}" for row in rows if row.run and row.contaminated is None]
    if unknown:
        lines.append(
            f"training tracks unknown, hence not checked against the test tracks: "
            f"{', '.join(unknown)}."
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
        f"scored on different data, compare only within this line: {len(tracks)} tracks, "
        f"fingerprint {fingerprint[:8]}: {', '.join(sorted(versions[fingerprint, tracks]))}."
        for fingerprint, tracks in sorted(versions)
    ]


def _notes(rows: Sequence[Row]) -> list[str]:
    noted: dict[str, list[str]] = {}
    for row in rows:
        for note in row.notes:
            recipe = row.reproduces if row.run else row.recipe
            noted.setdefault(note, []).append(recipe or row.method)
    return [f"{', '.join(dict.fromkeys(names))}: {note}" for note, names in noted.items()]
