"""``run.json``: the record beside a run's score files, which says what produced them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mss_shared import provenance
from mss_shared.evaluation.protocols import Protocol
from mss_shared.evaluation.score_files import TrackScores
from mss_shared.evaluation.track_metrics import BSSEVAL_METRICS, OURS, Engine

# The fields that describe a model; null where there is no model, or it is unknown.
METHOD_FIELDS = (
    *("recipe", "recipe_digest", "verbatim", "leaf_sources", "reproduces", "training", "weights"),
)
COST_FIELDS = ("gmac_per_second", "real_time_factor", "peak_memory_bytes")


def write_record(
    folder: Path,
    run: str,
    about: Mapping[str, Any],
    dataset: Mapping[str, Any],
    stems: Sequence[str],
    protocols: Mapping[str, Mapping[str, Any]],
    cost: Mapping[str, Any],
    command: str,
) -> None:
    """Write ``run.json``, which completes a score folder.

    Args:
        folder: the run's folder.
        run: the run's name.
        about: ``kind``, ``method`` and the METHOD_FIELDS.
        dataset: ``name``, ``split``, ``tracks``, ``fingerprint``.
        stems: the stems that were estimated.
        protocols: label to the result of ``describe_protocol``.
        cost: the COST_FIELDS.
        command: what the user typed.
    """
    record = {
        "kind": about["kind"],
        "method": about["method"],
        "run": run,
        "dataset": dataset,
        "stems": list(stems),
        "protocols": protocols,
        "cost": cost,
        **{name: about[name] for name in METHOD_FIELDS},
        "seed": about["training"]["seed"] if about["training"] else None,
    }
    provenance.write_record(folder, record, command, "museval")


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
