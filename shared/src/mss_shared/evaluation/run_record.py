"""``run.json``: the record beside a run's score files, which says what produced them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mss_shared import provenance
from mss_shared.datasets import Dataset
from mss_shared.datasets.content import describe_content, digest_files, uses_extra_data
from mss_shared.evaluation.protocols import Protocol
from mss_shared.evaluation.score_files import TrackScores
from mss_shared.evaluation.track_metrics import BSSEVAL_METRICS, OURS, Engine

# The fields that describe a model; null where there is no model, or it is unknown.
METHOD_FIELDS = (
    *("recipe", "recipe_digest", "verbatim", "leaf_sources", "reproduces", "training", "weights"),
    *("models", "settings"),
)
COST_FIELDS = ("gmac_per_second", "real_time_factor", "peak_memory_bytes")


def write_record(
    folder: Path,
    about: Mapping[str, Any],
    dataset: Mapping[str, Any],
    stems: Sequence[str],
    protocols: Mapping[str, Mapping[str, Any]],
    cost: Mapping[str, Any],
    command: str,
    inputs: str | None = None,
) -> None:
    """Write ``run.json``, which completes a score folder.

    Args:
        folder: the run's folder, which has the run's name.
        about: ``kind``, ``method`` and the METHOD_FIELDS.
        dataset: the result of ``describe_dataset``.
        stems: the stems that were estimated.
        protocols: label to the result of ``describe_protocol``.
        cost: the COST_FIELDS.
        command: what the user typed.
        inputs: digest of all that the scores depend on; None if it is unknown.
    """
    training = about["training"]
    record = {
        "kind": about["kind"],
        "method": about["method"],
        "run": folder.name,
        "dataset": dataset,
        "stems": list(stems),
        "protocols": protocols,
        "cost": cost,
        **{name: about[name] for name in METHOD_FIELDS},
        "seed": training["seed"] if training else None,
        "inputs": inputs,
        **provenance.describe_origin(command, "museval"),
    }
    provenance.write_record(folder, record)


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """The test tracks by name, and by what they sound like."""
    return {
        "name": dataset.name,
        "split": "test",
        "tracks": [track.name for track in dataset.test],
        "fingerprint": dataset.fingerprint,
        "content": describe_content(dataset.test),
        **({"reading": dataset.changes} if dataset.changes else {}),
    }


def judge_training(about: Mapping[str, Any], dataset: Dataset) -> dict[str, Any]:
    """The description of a method, with ``extra_data`` in the records of its trainings.

    Args:
        about: ``kind``, ``method`` and the METHOD_FIELDS.
        dataset: the benchmark that extra data is extra to.
    """
    models = [
        {**model, "training": _judged(model["training"], dataset)}
        for model in about["models"] or ()
    ]
    training = _judged(about["training"], dataset)
    if training is not None and models:
        extra = [(model["training"] or {}).get("extra_data") for model in models]
        training["extra_data"] = True if True in extra else None if None in extra else False
    return {**about, "training": training, "models": models or None}


def _judged(training: Mapping[str, Any] | None, dataset: Dataset) -> dict[str, Any] | None:
    if training is None:
        return None
    return {**training, "extra_data": uses_extra_data(training, dataset)}


def digest_inputs(
    about: Mapping[str, Any],
    dataset: Dataset,
    stems: Sequence[str],
    engine: Engine = OURS,
) -> str:
    """SHA-256 of what a run's scores depend on, whatever it is called: weights, settings, songs."""
    weights = about["weights"] and about["weights"]["digest"]
    inputs = (
        *(about["kind"], about["method"], weights, about["settings"]),
        *(digest_files(dataset.test), list(stems), engine.museval),
    )
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def describe_protocol(
    protocol: Protocol,
    tracks: Sequence[TrackScores],
    digests: Mapping[str, str],
    engine: Engine = OURS,
) -> dict[str, Any]:
    """A protocol's definition, what computed its scores, and the SHA-256 of every file."""
    museval = engine.museval and protocol.metrics == BSSEVAL_METRICS
    return {
        "id": protocol.id,
        "metrics": list(protocol.metrics),
        "unit": protocol.unit,
        "targets": list(protocol.targets),
        "window": protocol.window,
        "frames": protocol.frames,
        "tracks": protocol.tracks,
        "silence": protocol.silence,
        "computed_by": "museval" if museval else "mss-shared",
        "notes": {track.name: dict(track.notes) for track in tracks if track.notes},
        "files": {f"test/{name}.json": digest for name, digest in digests.items()},
    }
