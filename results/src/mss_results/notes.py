"""The sentences below a board: what its marks mean, what was trained on what, notes."""

from collections.abc import Sequence

from mss_results.board import Row
from mss_results.bootstrap import LEVEL

RANKS = (
    "rank: = marks a group within which no neighbours differ (paired Wilcoxon test over tracks, "
    "Holm correction, 0.05); claims, variants, contaminated rows, oracles, baselines, parts of a "
    "test set and rows without a rival on the same data are not ranked."
)
_LISTED_TRACKS = 5


def sentences(rows: Sequence[Row]) -> list[str]:
    """What has to be known to read the rows."""
    return [
        *_legend(rows),
        *_missing(rows),
        *_contamination(rows),
        *_data_versions(rows),
        *_notes(rows),
    ]


def _legend(rows: Sequence[Row]) -> list[str]:
    lines: list[str] = []
    if any(row.kind == "claimed" for row in rows):
        lines.append(
            "claimed: published by others; an average that the source does not list is the mean "
            "of its four stems."
        )
    if any(row.not_run for row in rows):
        lines.append("not run: a row that a recipe of ours stands for, without a score of ours.")
    if any(cell.interval for row in rows for cell in row.cells.values()):
        lines.append(
            f"in square brackets: {LEVEL:.0%} bootstrap interval over tracks; those of the other "
            f"columns are in the CSV table."
        )
    if any(row.ranks for row in rows):
        lines.append(RANKS)
    if any(key in row.cells for row in rows for key in row.claimed):
        lines.append("in round brackets: the claimed value, and measured minus claimed.")
    if any(row.ours_leaves for row in rows):
        lines.append("ours: how many values of the recipe neither paper nor code states.")
    return lines


def _missing(rows: Sequence[Row]) -> list[str]:
    """A score says little without the best and the cheapest one possible beside it."""
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
                f"contaminated: {row.method} {row.run} was trained on {len(row.contaminated)} of "
                f"its {len(row.tracks)} test tracks: {listed}"
                + (f" and {more} more." if more > 0 else ".")
            )
    unknown = [f"{row.method} {row.run}" for row in rows if row.run and row.contaminated is None]
    if unknown:
        lines.append(
            f"training tracks not known, so not checked against the test tracks: "
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
