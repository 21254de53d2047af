"""Score folders: museval's JSON per track, and one ``run.json`` that says what produced them.

<scores>/<dataset>/<method>/<run>/run.json
<scores>/<dataset>/<method>/<run>/<protocol>/test/<track>.json

museval reads a protocol's folder as it is: ``EvalStore().add_eval_dir(...)``.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

from mss_shared.atomic import write_text
from mss_shared.json_text import parse_json
from mss_shared.names import check_file_name, check_name, inside


@dataclass(frozen=True)
class Frame:
    """One frame of one stem: start and length in seconds, metric name to value."""

    time: float
    duration: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class TrackScores:
    """The scores of one track under one protocol.

    Attributes:
        name: the track's name.
        targets: stem to its frames, in the file's order.
        notes: stem to the reason why it has no score; not part of the file.
        protocol: id of the protocol; scores without it can't be averaged.
    """

    name: str
    targets: Mapping[str, list[Frame]]
    notes: Mapping[str, str] = field(default_factory=dict)
    protocol: str = ""


def to_json(scores: TrackScores) -> str:
    """museval's JSON to the letter, except for the version number at its end.

    Values are rounded to 5 decimals, ties to even by their exact binary value; infinities and NaN
    become the bare token NaN.
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
        text: the content of the file.
        name: the track's name.
        protocol: id of the protocol, which the file does not hold.
        what: the file's name for the error; by default the track's.

    Raises:
        ValueError: if the text is not in museval's format.
    """
    try:
        targets = {
            target["name"]: [
                Frame(float(frame["time"]), float(frame["duration"]), _numbers(frame["metrics"]))
                for frame in target["frames"]
            ]
            for target in parse_json(text, name)["targets"]
        }
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"{what or name} is not a score file in museval's format: replace it"
        ) from None
    return TrackScores(name, targets, protocol=protocol)


def _numbers(metrics: Any) -> dict[str, float]:
    return {str(name): float(value) for name, value in dict(metrics).items()}


def run_folder(root: Path, dataset: str, method: str, run: str) -> Path:
    """The folder of a run's scores.

    Raises:
        ValueError: if a name is not valid as a folder's.
    """
    check_name(dataset, "the name of the data set")
    check_name(method, "the name of the method")
    check_name(run, "the name of the run, which --run gives,")
    return inside(root, dataset, method, run)


def track_file(folder: Path, label: str, track: str) -> Path:
    """The file of a track's scores in a run's folder.

    Raises:
        ValueError: if a name would lead out of the folder.
    """
    check_name(label, "the name of a protocol")
    check_file_name(track, "the name of a track")
    return inside(folder, label, "test", f"{track}.json")


def write_track(folder: Path, label: str, scores: TrackScores) -> str:
    """Write one track's scores under a protocol's label; return the file's SHA-256."""
    text = to_json(scores)
    write_text(track_file(folder, label, scores.name), text)
    return hashlib.sha256(text.encode()).hexdigest()
