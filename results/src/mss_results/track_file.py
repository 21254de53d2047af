"""Reads museval's JSON of one track: targets, their frames, and each frame's metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mss_results.fields import MAX_NUMBER, Fields, parse_object

STEMS = ("vocals", "drums", "bass", "other")
KNOWN_STEMS = (*STEMS, "accompaniment")
AVERAGE = "average"  # used like a stem: the plain mean over STEMS

Frames = NDArray[np.float64]


@dataclass(frozen=True)
class Protocol:
    """The definition of scores: metrics, targets, and aggregation over frames and tracks.

    targets: the stems scored; they may be sums of estimated stems, such as the accompaniment.
    """

    id: str
    metrics: tuple[str, ...]
    unit: str
    targets: tuple[str, ...]
    frames: str
    tracks: str
    silence: str


@dataclass(frozen=True)
class TrackScores:
    """The frames of one track: (stem, metric) -> (frame) values, NaN where there is no score.

    step: seconds between the starts of consecutive frames; NaN if there are fewer than two.
    """

    protocol: str
    track: str
    frames: Mapping[tuple[str, str], Frames]
    step: float


def parse_track(
    content: bytes, file: Path, track: str, protocol: Protocol, absent: Sequence[str] = ()
) -> TrackScores:
    """Read the protocol's targets and metrics from a track file.

    Args:
        content, file: the file's bytes, and its name for messages.
        track: the track's name.
        protocol: defines the targets and metrics that must be present.
        absent: targets that the file may lack; they have no frames.

    Raises:
        ValueError: with file and field, if the content is not museval's JSON, a target or metric
            is missing or unknown, or a value is neither a finite number nor NaN.
    """
    frames: dict[tuple[str, str], Frames] = {}
    step = float("nan")
    for target in parse_object(content, file).items("targets"):
        stem = target.text("name")
        check_stem(stem, protocol.targets, target.where("name"))
        if (stem, protocol.metrics[0]) in frames:
            raise ValueError(f"{target.where('name')} is {stem!r} twice: list each stem once")
        for metric in protocol.metrics:
            frames[stem, metric] = _column(target, metric)
        step = _step(target)
    for stem in protocol.targets:
        if (stem, protocol.metrics[0]) not in frames:
            if stem not in absent:
                raise ValueError(f"{file}: field targets lacks the stem {stem!r}: evaluate again")
            frames |= {(stem, metric): np.empty(0) for metric in protocol.metrics}
    columns = [(stem, metric) for stem in protocol.targets for metric in protocol.metrics]
    return TrackScores(protocol.id, track, {key: frames[key] for key in columns}, step)


def check_stem(stem: str, legal: Sequence[str], where: str) -> None:
    if stem not in legal:
        raise ValueError(f"{where} names the unknown stem {stem!r}: use {', '.join(legal)}")


def _column(target: Fields, metric: str) -> Frames:
    """(frame) values of one metric."""
    # Fast path for valid files; the slow one below checks value by value to name the fault.
    frames: Any = target.values.get("frames")
    try:
        values = [frame["metrics"][metric] for frame in frames]
        if {type(value) for value in values} <= {float, int}:
            column = np.array(values, dtype=np.float64)
            if not np.any(np.abs(column) > MAX_NUMBER):
                return column
    except (KeyError, TypeError, OverflowError):
        pass
    scores = [frame.inner("metrics") for frame in target.items("frames")]
    return np.array([score.number(metric) for score in scores], dtype=np.float64)


def _step(target: Fields) -> float:
    frames = target.items("frames", most=2)
    if len(frames) < 2:
        return float("nan")
    return frames[1].number("time") - frames[0].number("time")
