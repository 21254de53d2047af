"""Score folders: museval's JSON per track, and one ``run.json`` that says what made them.

<scores>/<dataset>/<method>/<run>/run.json
<scores>/<dataset>/<method>/<run>/<protocol>/test/<track>.json
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

SCHEMA = 1


@dataclass(frozen=True)
class Frame:
    """One frame of one stem: start and length in seconds, metric name to dB."""

    time: float
    duration: float
    metrics: Mapping[str, float]


TrackScores = dict[str, list[Frame]]


def to_json(scores: TrackScores) -> str:
    """museval's text: values at 5 decimals, infinities and NaN as the bare token NaN."""
    targets = [
        {
            "name": stem,
            "frames": [
                {
                    "time": frame.time,
                    "duration": frame.duration,
                    "metrics": {name: _quantise(value) for name, value in frame.metrics.items()},
                }
                for frame in frames
            ],
        }
        for stem, frames in scores.items()
    ]
    return json.dumps({"targets": targets}, indent=2) + "\n"


def from_json(text: str, what: str) -> TrackScores:
    """Read a track's scores; ValueError naming ``what`` if they are not museval's format."""
    try:
        targets = json.loads(text)["targets"]
        return {
            target["name"]: [
                Frame(frame["time"], frame["duration"], dict(frame["metrics"]))
                for frame in target["frames"]
            ]
            for target in targets
        }
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f"{what} is not a score file in museval's format: replace it") from None


def write_track(folder: Path, protocol: str, track: str, scores: TrackScores) -> str:
    """Write one track's scores; returns the file's SHA-256."""
    text = to_json(scores)
    write_text(folder / protocol / "test" / f"{track}.json", text)
    return hashlib.sha256(text.encode()).hexdigest()


def write_run(folder: Path, run: Mapping[str, Any]) -> None:
    """Write ``run.json``, which completes a score folder."""
    write_text(folder / "run.json", json.dumps({"schema": SCHEMA, **run}, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file beside its place and rename it there: whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(prefix=".part-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    finally:
        Path(beside).unlink(missing_ok=True)


def _quantise(value: float) -> float:
    """museval's rounding: half to even on the exact binary value; no infinities."""
    if not math.isfinite(value):
        return math.nan
    return float(Decimal(value).quantize(Decimal("0.00001"), ROUND_HALF_EVEN))
