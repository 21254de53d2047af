"""Score folders: museval's JSON per track, and one ``run.json`` that says what made them.

<scores>/<dataset>/<method>/<run>/run.json
<scores>/<dataset>/<method>/<run>/<protocol>/test/<track>.json

museval's stores read a protocol's folder as it is: ``EvalStore().add_eval_dir(...)``.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

from mss_shared.atomic import write_text
from mss_shared.names import check_file_name, check_name, inside


@dataclass(frozen=True)
class Frame:
    """One frame of one stem: start and length in seconds, metric name to value."""

    time: float
    duration: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class TrackScores:
    """What one protocol found on one track.

    Attributes:
        name: the track's.
        targets: stem to its frames, in the file's order.
        notes: stem to the reason why it has no score; not part of the file.
        protocol: id of the protocol; without it no number can be averaged.
    """

    name: str
    targets: Mapping[str, list[Frame]]
    notes: Mapping[str, str] = field(default_factory=dict)
    protocol: str = ""


def to_json(scores: TrackScores) -> str:
    """museval's text, to the letter but for its version at the end.

    Values have 5 decimals, half rounded to even on the exact binary value; infinities and NaN are
    the bare token NaN.
    """
    targets = [_target(stem, frames) for stem, frames in scores.targets.items()]
    return _block("{", [f'"targets": {_block("[", targets, "]", 1)}'], "}", 0)


def _target(stem: str, frames: list[Frame]) -> str:
    items = [_frame(frame) for frame in frames]
    lines = [f'"name": {json.dumps(stem)}', f'"frames": {_block("[", items, "]", 3)}']
    return _block("{", lines, "}", 2)


def _frame(frame: Frame) -> str:
    metrics = [f"{json.dumps(name)}: {_decimals(value)}" for name, value in frame.metrics.items()]
    lines = [
        f'"time": {json.dumps(frame.time)}',
        f'"duration": {json.dumps(frame.duration)}',
        f'"metrics": {_block("{", metrics, "}", 5)}',
    ]
    return _block("{", lines, "}", 4)


def _block(first: str, items: list[str], last: str, depth: int) -> str:
    """A JSON array or object with two spaces of indentation."""
    if not items:
        return first + last
    inner = "\n" + "  " * (depth + 1)
    return f"{first}{inner}{f',{inner}'.join(items)}\n{'  ' * depth}{last}"


def _decimals(value: float) -> str:
    if not math.isfinite(value):
        return "NaN"
    return f"{Decimal(value).quantize(Decimal('0.00001'), ROUND_HALF_EVEN):f}"


def from_json(text: str, name: str, protocol: str = "", what: str = "") -> TrackScores:
    """Read a track's scores, ours or museval's.

    Args:
        text: the file's.
        name: the track's.
        protocol: id of the protocol, which the file does not hold.
        what: the file, for the message; the track's name if not given.

    Raises:
        ValueError: naming ``what``, if the text is not in museval's format.
    """
    try:
        targets = {
            target["name"]: [
                Frame(frame["time"], frame["duration"], dict(frame["metrics"]))
                for frame in target["frames"]
            ]
            for target in json.loads(text)["targets"]
        }
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(
            f"{what or name} is not a score file in museval's format: replace it"
        ) from None
    return TrackScores(name, targets, protocol=protocol)


def run_folder(root: Path, dataset: str, method: str, run: str) -> Path:
    """Where the scores of a run stand.

    Raises:
        ValueError: if a name can't be a folder's of the results.
    """
    check_name(dataset, "the name of the data set")
    check_name(method, "the name of the method")
    check_name(run, "the name of the run, which --run gives,")
    return inside(root, dataset, method, run)


def track_file(folder: Path, label: str, track: str) -> Path:
    """Where a track's scores stand in a run's folder.

    Raises:
        ValueError: if it would not be below.
    """
    check_name(label, "the name of a protocol")
    check_file_name(track, "the name of a track")
    return inside(folder, label, "test", f"{track}.json")


def write_track(folder: Path, label: str, scores: TrackScores) -> str:
    """Write one track's scores under a protocol's label; returns the file's SHA-256."""
    text = to_json(scores)
    write_text(track_file(folder, label, scores.name), text)
    return hashlib.sha256(text.encode()).hexdigest()
