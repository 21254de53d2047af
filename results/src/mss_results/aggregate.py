"""Aggregates frames to tracks and tracks to one value, as the protocol defines; skips NaN."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mss_results.bootstrap import Values, resample
from mss_results.intervals import interval
from mss_results.track_file import AVERAGE, STEMS, Protocol, TrackScores


@dataclass(frozen=True)
class Cell:
    """One value, NaN if no track has a score, and what it was computed from.

    `tracks` counts the tracks with a score, None for a claim; `interval` is the 95 % interval;
    `by_track` holds the score of each track, NaN where there is none, and `resamples` the value on
    each set of drawn tracks. `by_seed` holds the values of several runs of which this is the mean.

    `by_track` of an average is the mean of the four stems on the track, which the value is not.
    """

    value: float
    tracks: int | None
    source: str
    interval: tuple[float, float] | None = None
    by_track: Mapping[str, float] = field(default_factory=dict)
    resamples: Values = field(default_factory=lambda: np.empty(0), repr=False, compare=False)
    by_seed: tuple[float, ...] = ()

    @property
    def is_scored(self) -> bool:
        return not math.isnan(self.value)


def combine(values: Sequence[float] | Values, how: str) -> float:
    """Median or mean of the values that are not NaN; NaN if there are none."""
    present = np.asarray(values, dtype=np.float64)
    present = present[~np.isnan(present)]
    if not len(present):
        return math.nan
    if how == "median":
        return float(np.median(present))
    assert how == "mean", how
    # fsum rounds once, so the mean does not depend on the order of the tracks.
    return math.fsum(present.tolist()) / len(present)


def track_values(
    protocol: Protocol, tracks: Sequence[TrackScores]
) -> dict[tuple[str, str], dict[str, float]]:
    """One value per track: (stem, metric) -> track -> value, NaN where no frame has a score.

    Raises:
        ValueError: if a track was scored under another protocol id.
    """
    values: dict[tuple[str, str], dict[str, float]] = {}
    for scores in tracks:
        if scores.protocol != protocol.id:
            raise ValueError(
                f"track {scores.track!r} has scores under {scores.protocol} among scores under "
                f"{protocol.id}: aggregate one protocol id at a time"
            )
        for key, frames in scores.frames.items():
            values.setdefault(key, {})[scores.track] = combine(frames, protocol.frames)
    return values


def aggregate(
    protocol: Protocol, tracks: Sequence[TrackScores], source: str
) -> dict[tuple[str, str], Cell]:
    """One cell per (stem, metric), and the average of the four stems if all are present."""
    cells: dict[tuple[str, str], Cell] = {}
    for key, by_track in track_values(protocol, tracks).items():
        values = list(by_track.values())
        scored = sum(not math.isnan(value) for value in values)
        value, drawn = combine(values, protocol.tracks), resample(values, protocol.tracks)
        cells[key] = Cell(value, scored, source, interval(value, drawn, scored), by_track, drawn)
    for metric in protocol.metrics:
        average = average_cell(cells, metric, source)
        if average is not None:
            # All stems were resampled on the same tracks, so averaging resamples is valid.
            drawn = np.mean([cells[stem, metric].resamples for stem in STEMS], axis=0)
            assert average.tracks is not None
            ends = interval(average.value, drawn, average.tracks)
            cells[AVERAGE, metric] = replace(average, interval=ends, resamples=drawn)
    return cells


def average_cell(cells: Mapping[tuple[str, str], Cell], metric: str, source: str) -> Cell | None:
    """Plain mean over vocals, drums, bass and other; None unless all four are present."""
    four = [cells[stem, metric] for stem in STEMS if (stem, metric) in cells]
    if len(four) < len(STEMS):
        return None
    counts = [cell.tracks for cell in four if cell.tracks is not None]
    by_track = {
        track: math.fsum(cell.by_track[track] for cell in four) / len(STEMS)
        for track in four[0].by_track
    }
    value = math.fsum(cell.value for cell in four) / len(STEMS)
    return Cell(value, min(counts) if counts else None, source, None, by_track)
