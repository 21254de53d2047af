"""Boards: all rows of one data set and protocol, measured next to claimed, ranked."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mss_results.aggregate import Cell, aggregate, average_cell
from mss_results.claims import Claim
from mss_results.columns import Candidate, Column, Key, compare_columns
from mss_results.projections import PROJECTED, contradiction
from mss_results.ranks import Rank, rank
from mss_results.read import Cost, Run, ScoreSet
from mss_results.seeds import group_seeds, joined_name, mean_cells, mean_cost
from mss_results.track_file import AVERAGE, KNOWN_STEMS, STEMS, Protocol
from mss_results.training import find_contamination, uses_extra_data

# Papers report scores over the whole test set; fewer tracks are not comparable.
TEST_TRACKS = {"musdb18": 50, "musdb18hq": 50}
_METRIC_ORDER = ("SDR", "ISR", "SIR", "SAR", "uSDR", "cSDR", "SI-SDR", "SI-SIR", "SI-SAR")
_NO_FRAMES = "frames are not here, only a value per track"
_COMPUTED = "; mean of the four stems computed here"


def is_whole_test_set(dataset: str, tracks: Sequence[str]) -> bool:
    return len(tracks) == TEST_TRACKS.get(dataset, len(tracks))


@dataclass(frozen=True)
class Row:
    """One line of a board: a claimed table row, or one run, or runs that differ in the seed.

    `cells`, `claimed` and `ranks` are keyed by (stem, metric). `contaminated` lists the test tracks
    that the model was trained or validated on; None if its tracks are not known. `made_by` and
    `scores` are what a measured row was computed from, of several runs the first. `seeds` is empty
    if the seed is not known; `parts` holds the rows of the single runs where there are several.
    """

    kind: str
    method: str
    recipe: str
    run: str
    reproduces: str
    verbatim: bool | None
    cells: Mapping[tuple[str, str], Cell]
    claimed: Mapping[tuple[str, str], float]
    extra_data: str
    contaminated: tuple[str, ...] | None
    parameters: int | None
    cost: Cost
    ours_leaves: int | None
    second_hand_leaves: int | None
    not_run: bool
    fingerprint: str
    tracks: tuple[str, ...]
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    ranks: Mapping[tuple[str, str], Rank]
    made_by: Run | None
    scores: ScoreSet | None
    seeds: tuple[int, ...] = ()
    parts: tuple["Row", ...] = ()

    @property
    def is_variant(self) -> bool:
        return self.verbatim is False

    @property
    def id(self) -> str:
        """Identifies a measured row within its board."""
        return f"{self.method}/{self.run}"

    def is_ranked_on(self, dataset: str) -> bool:
        """Measured on all test tracks, not a variant, not contaminated."""
        clean = self.kind == "measured" and not self.is_variant and not self.contaminated
        return clean and is_whole_test_set(dataset, self.tracks)


@dataclass(frozen=True)
class Board:
    """The rows of one data set and protocol id, best first; oracles and baselines last.

    `columns` holds the tests of the ranked rows, which name rows by their `id`.
    """

    dataset: str
    protocol: str
    definitions: tuple[Protocol, ...]
    metrics: tuple[str, ...]
    stems: tuple[str, ...]
    rows: tuple[Row, ...]
    columns: Mapping[Key, tuple[Column, ...]]

    @property
    def name(self) -> str:
        return f"{self.dataset}--{self.protocol}"

    def lead(self, metric: str) -> tuple[str, str]:
        """The main column: the average, or the first stem if no row has an average."""
        scored = {key for row in self.rows for key in row.cells}
        return next((stem, metric) for stem in (AVERAGE, *self.stems) if (stem, metric) in scored)


def build_boards(runs: Sequence[Run], claims: Sequence[Claim]) -> tuple[Board, ...]:
    """Sort runs and claims into boards, ordered by data set and protocol.

    Raises:
        ValueError: if a run reproduces a row that is not claimed, or two runs aggregate the same
            protocol id differently or treat silence differently under it.
    """
    _check_reproduced(runs, claims)
    rows: dict[tuple[str, str], list[Row]] = {}
    definitions: dict[str, dict[Protocol, str]] = {}
    scored: dict[tuple[str, str], list[tuple[Run, ScoreSet]]] = {}
    for key, row in _claimed_rows(claims):
        rows.setdefault(key, []).append(row)
    for run in runs:
        for scores in run.scores:
            _define(definitions.setdefault(scores.protocol.id, {}), scores.protocol, run)
            scored.setdefault((run.dataset, scores.protocol.id), []).append((run, scores))
    for key, found in scored.items():
        for group in group_seeds(found):
            rows.setdefault(key, []).append(_joined([_measured_row(*each) for each in group]))
    return tuple(
        _board(dataset, protocol, tuple(definitions.get(protocol, {})), rows[dataset, protocol])
        for dataset, protocol in sorted(rows)
    )


def _check_reproduced(runs: Sequence[Run], claims: Sequence[Claim]) -> None:
    recipes = {claim.recipe for claim in claims} - {""}
    for run in runs if claims else ():  # without any claims, such as outside of the repository
        if run.reproduces is not None and run.reproduces not in recipes:
            raise ValueError(
                f"{run.id}/run.json: field reproduces is {run.reproduces!r}, none of the "
                f"{len(recipes)} recipes claimed in papers.csv: add the claim or correct the recipe"
            )


def _define(known: dict[Protocol, str], protocol: Protocol, run: Run) -> None:
    for other, where in known.items():
        if (other.frames, other.tracks) != (protocol.frames, protocol.tracks):
            raise ValueError(
                f"{run.id}/run.json: protocol {protocol.id} takes the {protocol.frames} over "
                f"frames and the {protocol.tracks} over tracks, but in {where} the {other.frames} "
                f"and the {other.tracks}: use another protocol id for another definition"
            )
        if other.silence != protocol.silence:
            raise ValueError(
                f"{run.id}/run.json: protocol {protocol.id} says of silence {protocol.silence!r}, "
                f"but in {where} {other.silence!r}: an id has one rule, so import or evaluate one "
                f"of them again"
            )
    known.setdefault(protocol, run.id)


def _claimed_rows(claims: Sequence[Claim]) -> Iterable[tuple[tuple[str, str], Row]]:
    grouped: dict[tuple[str, ...], list[Claim]] = {}
    for claim in claims:
        grouped.setdefault(claim.row, []).append(claim)
    for group in grouped.values():
        yield (group[0].dataset, group[0].protocol), _claimed_row(group)


def _claimed_row(group: Sequence[Claim]) -> Row:
    cells = {
        (claim.stem, claim.metric): Cell(claim.value_db, None, claim.source) for claim in group
    }
    for metric in sorted({claim.metric for claim in group}):
        if (AVERAGE, metric) not in cells:
            average = average_cell(cells, metric, group[0].source + _COMPUTED)
            if average is not None:
                cells[AVERAGE, metric] = average
    first = group[0]
    return Row(
        kind="claimed",
        method=first.method,
        recipe=first.recipe,
        run="",
        reproduces="",
        verbatim=None,
        cells=cells,
        claimed={},
        extra_data=first.extra_data,
        contaminated=None,
        parameters=first.parameters,
        cost=Cost(None, None, None),
        ours_leaves=None,
        second_hand_leaves=None,
        not_run=False,
        fingerprint="",
        tracks=(),
        sources=_distinct(claim.source for claim in group),
        notes=_distinct(part for claim in group for part in claim.note.split("; ") if part),
        ranks={},
        made_by=None,
        scores=None,
    )


def _measured_row(run: Run, scores: ScoreSet) -> Row:
    return Row(
        kind="measured" if run.kind in ("model", "blind") else run.kind,
        method=run.method,
        recipe=run.recipe or "",
        run=run.name,
        reproduces=run.reproduces or "",
        verbatim=run.verbatim,
        cells=aggregate(scores.protocol, scores.tracks, run.id),
        claimed={},
        extra_data=_extra_data(run),
        contaminated=_contaminated(run),
        parameters=run.parameters,
        cost=run.cost,
        ours_leaves=run.ours_leaves,
        second_hand_leaves=run.second_hand_leaves,
        not_run=False,
        fingerprint=run.fingerprint or "",
        tracks=run.tracks,
        sources=(run.id,),
        notes=() if scores.has_frames else (_NO_FRAMES,),
        ranks={},
        made_by=run,
        scores=scores,
        seeds=_seeds(run),
    )


def _seeds(run: Run) -> tuple[int, ...]:
    seed = run.provenance.seed
    return () if seed is None or run.kind != "model" else (seed,)


def _joined(rows: Sequence[Row]) -> Row:
    """The row of runs that differ in the seed alone: their mean."""
    if len(rows) == 1:
        return rows[0]
    return replace(
        rows[0],
        run=joined_name([row.made_by for row in rows if row.made_by is not None]),
        cells=mean_cells([row.cells for row in rows]),
        cost=mean_cost([row.cost for row in rows]),
        sources=tuple(source for row in rows for source in row.sources),
        seeds=tuple(seed for row in rows for seed in row.seeds),
        parts=tuple(rows),
    )


def _extra_data(run: Run) -> str:
    if run.kind != "model":
        return "oracle" if run.kind == "oracle" else "blind"
    return {True: "yes", False: "no", None: ""}[uses_extra_data(run.trainings, run.tested)]


def _contaminated(run: Run) -> tuple[str, ...] | None:
    """The test tracks that the run's models were trained on; None if that is unknown."""
    if run.kind != "model" and run.training is None:
        return ()
    return find_contamination(run.trainings, run.tested)


def _board(
    dataset: str, protocol: str, definitions: tuple[Protocol, ...], rows: Sequence[Row]
) -> Board:
    keys = {key for row in rows for key in row.cells}
    metrics = tuple(sorted({metric for _, metric in keys}, key=_metric_rank))
    shown = {stem for stem, _ in keys} | set(STEMS)
    columns = compare_columns(candidates(dataset, rows))
    if contradiction(rows):
        columns = {key: found for key, found in columns.items() if key[1] not in PROJECTED}
    ranks = rank(columns)
    ranked = [
        replace(row, ranks=ranks.get(row.id, {})) if row.run else row
        for row in _match_claims(dataset, rows)
    ]
    return Board(
        dataset=dataset,
        protocol=protocol,
        definitions=tuple(sorted(definitions, key=lambda each: (each.silence, each.metrics))),
        metrics=metrics,
        stems=(*(stem for stem in KNOWN_STEMS if stem in shown), AVERAGE),
        rows=tuple(sorted(ranked, key=lambda row: _order(row, metrics[0]))),
        columns=columns,
    )


def _metric_rank(metric: str) -> tuple[int, str]:
    known = metric in _METRIC_ORDER
    return (_METRIC_ORDER.index(metric) if known else len(_METRIC_ORDER), metric)


def _match_claims(dataset: str, rows: Sequence[Row]) -> list[Row]:
    """Copy claimed values into the rows that reproduce them, and mark claims without a run."""
    claims = {row.recipe: row for row in rows if row.kind == "claimed" and row.recipe}
    reproduced = {row.reproduces for row in rows if _reproduces(row, dataset)}
    matched: list[Row] = []
    for row in rows:
        if row.kind == "claimed":
            row = replace(row, not_run=bool(row.recipe) and row.recipe not in reproduced)
        elif row.reproduces in claims and _reproduces(row, dataset):
            claimed = claims[row.reproduces].cells
            row = replace(row, claimed={key: claimed[key].value for key in claimed})
        matched.append(row)
    return matched


def _reproduces(row: Row, dataset: str) -> bool:
    """Whether a run reproduces a claim; variants and runs on a part of the test set do not."""
    full = is_whole_test_set(dataset, row.tracks)
    return bool(row.reproduces) and not row.is_variant and full


def candidates(dataset: str, rows: Sequence[Row]) -> list[Candidate]:
    """The rows that may be ranked."""
    return [
        Candidate(row.id, row.cells, row.fingerprint, row.tracks)
        for row in rows
        if row.is_ranked_on(dataset)
    ]


def _order(row: Row, metric: str) -> tuple[object, ...]:
    """Sort key: best average first, then rows without one, by their stems; names break ties.

    Contaminated rows come after all others, then oracles, then baselines.
    """
    values: list[tuple[bool, float]] = []
    for stem in (AVERAGE, *KNOWN_STEMS):
        cell = row.cells.get((stem, metric))
        missing = cell is None or math.isnan(cell.value)
        values.append((missing, 0.0 if cell is None or missing else -cell.value))
    group = {"oracle": 2, "baseline": 3}.get(row.kind, 2 * int(row.extra_data == "oracle"))
    group = group or int(bool(row.contaminated))
    return (group, *values, row.method, row.recipe, row.extra_data, row.run)


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
