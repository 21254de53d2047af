"""museval's JSON of one track: targets, their frames, each frame's metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mss_results.fields import MAX_NUMBER, Fields, parse_object

STEMS = ("vocals", "drums", "bass", "other")
KNOWN_STEMS = (*STEMS, "accompaniment")
AVERAGE = "average"  # stands where a stem stands: the plain mean over STEMS

Frames = NDArray[np.float64]


@dataclass(frozen=True)
class Protocol:
    """What a number means: its metrics and how frames and tracks are brought together.

    targets: the stems scored, which may be sums of what was estimated, as the accompaniment is.
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
    """The frames of one track by (stem, metric): (frame) values, NaN where there is no score.

    step: seconds from one frame's start to the next; NaN if there are fewer than two.
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
        protocol: whose targets and metrics must be there.
        absent: targets the file may lack; they have no frames.

    Raises:
        ValueError: naming file and field, if the content is not museval's JSON, a target or metric
            is missing or unknown, or a value is no finite number and not NaN.
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
    """(frame) values of one metric: all at once if they are sound, else one by one to the fault."""
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
