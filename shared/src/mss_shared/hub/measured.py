"""The scores of given weights, found in score folders by the digest that their records have."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mss_shared.evaluation.protocols import PROTOCOLS, Protocol, aggregate
from mss_shared.evaluation.score_files import TrackScores, from_json, track_file
from mss_shared.json_text import read_json_object
from mss_shared.names import is_file_name, is_name, one_line, shorten
from mss_shared.small_files import read_small_text

_REMEDY = "score the model again"


@dataclass(frozen=True)
class Measured:
    """The scores of one run under one protocol.

    Attributes:
        dataset, split: which tracks.
        protocol: its id.
        rules: how frames and tracks are averaged.
        tracks: how many.
        values: stem -> metric -> average; without those that are NaN, but there is one.
    """

    dataset: str
    split: str
    protocol: str
    rules: str
    tracks: int
    values: Mapping[str, Mapping[str, float]]


def find_scores(roots: Sequence[Path], method: str, digest: str) -> list[Measured]:
    """All scores of a single model's weights below some roots, each id and data set once.

    Scores of a changed setting, such as another overlap, or of a protocol that this version does
    not define alike are left out.

    Args:
        roots: of score folders; one that is not there has none.
        method: the paper's name.
        digest: of the weights.

    Raises:
        ValueError: if a record or a score file of these weights is invalid.
    """
    found: dict[tuple[str, str], Measured] = {}
    for root in roots:
        for path in sorted(root.glob(f"*/{method}/*/run.json")):
            record = read_json_object(path, _REMEDY)
            if _is_of(record, digest):
                for each in _read(path.parent, record):
                    found.setdefault((each.dataset, each.protocol), each)
    return [found[key] for key in sorted(found)]


def _is_of(record: Mapping[str, Any], digest: str) -> bool:
    models = record.get("models")
    if not isinstance(models, list) or len(models) != 1 or not isinstance(models[0], dict):
        return False
    return models[0].get("weights_digest") == digest and (
        record.get("verbatim") == models[0].get("verbatim")
    )


def _read(folder: Path, record: Mapping[str, Any]) -> Iterator[Measured]:
    """The scores of a run that this version can average, protocol by protocol."""
    where = f"{folder / 'run.json'}: field "
    about = _object(record.get("dataset"), f"{where}dataset")
    dataset = _name(about.get("name"), f"{where}dataset.name")
    split = _name(about.get("split"), f"{where}dataset.split")
    tracks = _names(about.get("tracks"), f"{where}dataset.tracks")
    chosen = {
        label: _protocol(entry, f"{where}protocols.{one_line(label)}")
        for label, entry in _object(record.get("protocols"), f"{where}protocols").items()
    }
    for label, protocol in chosen.items():
        if protocol is None:
            continue
        scores = [
            _read_track(track_file(folder, label, track), track, protocol) for track in tracks
        ]
        values = {
            stem: {name: value for name, value in metrics.items() if math.isfinite(value)}
            for stem, metrics in aggregate(scores, protocol).items()
        }
        rules = f"{protocol.frames} over frames, {protocol.tracks} over tracks"
        if any(values.values()):
            yield Measured(dataset, split, protocol.id, rules, len(tracks), values)


def _protocol(value: object, where: str) -> Protocol | None:
    """The protocol of a record, if this version defines it alike."""
    about = _object(value, where)
    id = _name(about.get("id"), f"{where}.id")
    targets = tuple(_names(about.get("targets"), f"{where}.targets"))
    known = PROTOCOLS.get(id.partition("@")[0].partition(".")[0])
    if known is None:
        return None
    # Not by its own choice of targets, for which it may need a package: they are chosen.
    protocol = replace(known, targets=targets, best_order=".best_order" in id)
    return protocol if protocol.id == id else None


def _read_track(path: Path, track: str, protocol: Protocol) -> TrackScores:
    scores = from_json(read_small_text(path), track, protocol.id, str(path))
    frames = [frame for each in scores.targets.values() for frame in each]
    if not (
        set(scores.targets) <= set(protocol.targets)
        and all(set(protocol.metrics) <= set(frame.metrics) for frame in frames)
    ):
        raise ValueError(f"{path} has other stems or metrics than its run.json: {_REMEDY}")
    return scores


def _object(value: object, where: str) -> dict[str, Any]:
    """A JSON object that is not empty."""
    if isinstance(value, dict) and value:
        return value
    raise ValueError(f"{where} is {shorten(value)}: it must be an object with fields: {_REMEDY}")


def _name(value: object, where: str) -> str:
    if isinstance(value, str) and is_name(value):
        return value
    raise ValueError(f"{where} is {shorten(value)}: it must be a name: {_REMEDY}")


def _names(value: object, where: str) -> list[str]:
    """A list of different file names that is not empty."""
    if isinstance(value, list) and value and all(map(is_file_name, value)):
        if len(set(value)) == len(value):
            return value
    raise ValueError(f"{where} is {shorten(value)}: it must list different names: {_REMEDY}")
