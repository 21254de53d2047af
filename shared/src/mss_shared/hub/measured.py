"""The scores of given weights, found in score folders by the digest that their records have."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mss_shared.evaluation.protocols import Protocol, aggregate, find_protocol
from mss_shared.evaluation.score_files import from_json, track_file
from mss_shared.json_text import read_json_object
from mss_shared.names import is_name
from mss_shared.small_files import read_small_text


@dataclass(frozen=True)
class Measured:
    """The scores of one run under one protocol.

    Attributes:
        dataset, split: which tracks.
        protocol: its id.
        rules: how frames and tracks are averaged.
        tracks: how many.
        values: stem -> metric -> average; without those that are NaN.
    """

    dataset: str
    split: str
    protocol: str
    rules: str
    tracks: int
    values: Mapping[str, Mapping[str, float]]


def find_scores(roots: Sequence[Path], method: str, digest: str) -> list[Measured]:
    """All scores of a single model's weights below some roots, each id and data set once.

    Scores of a changed setting, such as another overlap, are left out.

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
            record = read_json_object(path, "score the model again")
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
    try:
        dataset, tracks = record["dataset"]["name"], record["dataset"]["tracks"]
        split, protocols = record["dataset"]["split"], record["protocols"]
        chosen = {label: _protocol(about) for label, about in protocols.items()}
    except (KeyError, TypeError, AttributeError):
        raise ValueError(f"{folder / 'run.json'} is no record of scores: replace it") from None
    if not is_name(dataset):
        raise ValueError(f"{folder / 'run.json'} has no valid name of a data set: replace it")
    for label, protocol in chosen.items():
        if protocol is None:
            continue
        scores = []
        for track in tracks:
            path = track_file(folder, label, track)
            text = read_small_text(path)
            scores.append(from_json(text, track, protocol.id, str(path)))
        values = {
            stem: {name: value for name, value in metrics.items() if math.isfinite(value)}
            for stem, metrics in aggregate(scores, protocol).items()
        }
        rules = f"{protocol.frames} over frames, {protocol.tracks} over tracks"
        yield Measured(dataset, str(split), protocol.id, rules, len(tracks), values)


def _protocol(about: Mapping[str, Any]) -> Protocol | None:
    """The protocol of a record, if this version defines it alike."""
    name = about["id"].partition("@")[0].partition(".")[0]
    best_order = ".best_order" in about["id"]
    protocol = find_protocol(name).on(about["targets"], best_order=best_order)
    return protocol if protocol.id == about["id"] else None
