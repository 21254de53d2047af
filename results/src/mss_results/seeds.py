"""Runs that differ in the seed alone: which they are, and their common cells."""

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mss_results.aggregate import Cell, combine
from mss_results.columns import Key
from mss_results.intervals import interval
from mss_results.read import Cost, Run, ScoreSet


def group_seeds(runs: Sequence[tuple[Run, ScoreSet]]) -> list[list[tuple[Run, ScoreSet]]]:
    """Group runs of one protocol that differ in the seed alone, sorted by seed.

    Such runs share method, recipe and its digest, overrides, training, data, stems, size, and the
    name but for the seed in it, since a name holds every setting of the evaluation that differs
    from the recipe's. Early stopping ends each seed after steps of its own, so these may differ.
    A run without a seed, digest, training or such a name stands alone.
    """
    groups: dict[Hashable, list[tuple[Run, ScoreSet]]] = {}
    for run, scores in runs:
        groups.setdefault(_all_but_seed(run, scores), []).append((run, scores))
    for group in groups.values():
        group.sort(key=lambda each: each[0].provenance.seed or 0)
    return list(groups.values())


def _all_but_seed(run: Run, scores: ScoreSet) -> Hashable:
    made = run.provenance
    named = None if made.seed is None else _seed_in(run.name, made.seed)
    if run.kind != "model" or named is None or made.recipe_digest is None or run.training is None:
        return run.id
    training = replace(run.training, steps=None)
    return (
        *(run.method, run.recipe, made.recipe_digest, run.verbatim, run.reproduces),
        *(training, run.dataset, run.fingerprint, run.tracks, run.stems, run.parameters),
        *(scores.protocol, run.name[: named.start()], run.name[named.end() :]),
    )


def _seed_in(name: str, seed: int) -> re.Match[str] | None:
    return re.search(rf"(?<![A-Za-z0-9])seed{seed}(?!\d)", name)


def joined_name(runs: Sequence[Run]) -> str:
    """demo-seeds0,1,2 for demo-seed0, demo-seed1 and demo-seed2; no folder can have this name."""
    first = runs[0]
    assert first.provenance.seed is not None
    named = _seed_in(first.name, first.provenance.seed)
    assert named is not None
    seeds = ",".join(str(run.provenance.seed) for run in runs)
    return f"{first.name[: named.start()]}seeds{seeds}{first.name[named.end() :]}"


def mean_cells(runs: Sequence[Mapping[Key, Cell]]) -> dict[Key, Cell]:
    """The mean over runs of every cell, of the score of every track, and of every resample."""
    return {key: _mean_cell([cells[key] for cells in runs]) for key in runs[0]}


def _mean_cell(cells: Sequence[Cell]) -> Cell:
    by_seed = [cell.value for cell in cells]
    value = math.fsum(by_seed) / len(by_seed)  # NaN if a run has no score
    by_track = {
        track: combine([cell.by_track[track] for cell in cells], "mean")
        for track in cells[0].by_track
    }
    resamples = np.mean([cell.resamples for cell in cells], axis=0)
    tracks = min(cell.tracks or 0 for cell in cells)
    return Cell(
        value,
        tracks,
        "; ".join(cell.source for cell in cells),
        interval(value, resamples, tracks, by_seed),
        by_track,
        resamples,
        tuple(by_seed),
    )


def mean_cost(costs: Sequence[Cost]) -> Cost:
    """Mean GMAC and real-time factor, largest memory; None where a run lacks it."""
    memory = [cost.peak_memory_bytes for cost in costs]
    return Cost(
        gmac_per_second=_mean([cost.gmac_per_second for cost in costs]),
        real_time_factor=_mean([cost.real_time_factor for cost in costs]),
        peak_memory_bytes=None if None in memory else max(each or 0 for each in memory),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if len(known) == len(values) else None
