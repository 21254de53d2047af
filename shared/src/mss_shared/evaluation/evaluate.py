"""Score an estimator on the test tracks of a data set and leave a score folder behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mss_shared.audio import Audio
from mss_shared.checkpoints.digest import weights_digest
from mss_shared.console import Report
from mss_shared.datasets import Dataset, Track
from mss_shared.evaluation.cost import count_gmac
from mss_shared.evaluation.protocols import aggregate, find_protocol
from mss_shared.evaluation.run_record import METHOD_FIELDS, describe_protocol, write_record
from mss_shared.evaluation.score_files import TrackScores, run_folder, write_track
from mss_shared.evaluation.track_metrics import OURS, Engine, Song
from mss_shared.interfaces import Checkpoint
from mss_shared.recipe import recipe_digest
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.device import peak_memory_bytes
from mss_shared.separation.overlap_add import separate
from mss_shared.separation.separator import Separator, interchangeable

Summary = dict[str, dict[str, dict[str, float]]]


@dataclass
class Estimator:
    """Something that estimates stems, and its description for tables.

    Attributes:
        stems: names of the estimates, in order.
        estimate: track -> (stem, channel, sample).
        about: the fields of ``run.json`` that describe the method.
        best_order: whether its stems are interchangeable (permutation-invariant outputs); each
            track is then scored in the order that fits best.
        seconds, audio_seconds: time spent in ``estimate``, and audio covered, so far.
    """

    stems: tuple[str, ...]
    estimate: Callable[[Track], Audio]
    about: dict[str, Any]
    best_order: bool = False
    seconds: float = field(default=0.0)
    audio_seconds: float = field(default=0.0)

    def __call__(self, track: Track) -> Audio:
        """Estimate the stems of a track, timed."""
        start = time.perf_counter()
        result = self.estimate(track)
        self.seconds += time.perf_counter() - start
        self.audio_seconds += track.info.seconds
        return result

    @property
    def real_time_factor(self) -> float:
        """Seconds of computation per second of audio; below 1 is faster than real time."""
        return self.seconds / self.audio_seconds if self.audio_seconds else float("nan")


def model_estimator(
    method: str,
    checkpoint: Checkpoint,
    model: Separator,
    inference: InferenceConfig,
    batch: int = 1,
) -> Estimator:
    """An estimator from a checkpoint; ``model`` is its model, on the device to use."""

    def estimate(track: Track) -> Audio:
        mixture = torch.from_numpy(track.read_mixture())
        result: Audio = separate(model, mixture, inference, batch=batch).numpy()
        return result

    assert isinstance(model, torch.nn.Module)
    about = {
        "kind": "model",
        "method": method,
        "recipe": checkpoint.recipe_name,
        "recipe_digest": recipe_digest(checkpoint.recipe),
        "verbatim": checkpoint.verbatim,
        "leaf_sources": checkpoint.leaf_sources,
        "reproduces": checkpoint.recipe.reproduces,
        "training": checkpoint.training,
        "weights": {
            "digest": weights_digest(model.state_dict()),
            "parameters": sum(p.numel() for p in model.parameters()),
        },
        "gmac_per_second": count_gmac(model),
    }
    return Estimator(model.stems, estimate, about, interchangeable(model))


def oracle_estimator(
    name: str, kind: str, oracle: Callable[[Track, tuple[str, ...]], Audio], stems: tuple[str, ...]
) -> Estimator:
    """An estimator that uses the references, or the mixture alone."""
    about = {"kind": kind, "method": name, "gmac_per_second": None}
    about |= dict.fromkeys(METHOD_FIELDS)
    return Estimator(stems, lambda track: oracle(track, stems), about)


def with_remainder(estimator: Estimator, name: str) -> Estimator:
    """The estimator with one more stem: the mixture minus the sum of all that it estimates.

    Raises:
        ValueError: if it estimates that stem itself.
    """
    if name in estimator.stems:
        raise ValueError(f"--remainder {name}: the model estimates {name} itself")

    def estimate(track: Track) -> Audio:
        estimates = estimator.estimate(track)
        return np.concatenate([estimates, (track.read_mixture() - estimates.sum(axis=0))[None]])

    return replace(estimator, stems=(*estimator.stems, name), estimate=estimate)


def evaluate(
    estimator: Estimator,
    dataset: Dataset,
    protocols: Sequence[str],
    scores_root: Path,
    run: str,
    *,
    command: str = "",
    keep: Callable[[Track, Audio], None] | None = None,
    engine: Engine = OURS,
    progress: Report | None = None,
) -> tuple[Path, Summary]:
    """Score every test track under every protocol.

    Args:
        estimator: what to score.
        dataset: its test tracks are used.
        protocols: names; the first is the headline.
        scores_root: the score folder becomes ``<root>/<dataset>/<method>/<run>``.
        run: the run's name.
        command: what the user typed, for the record.
        keep: called with each track and its estimates, for instance to write them.
        engine: what computes BSSEval.
        progress: called with (track, done, all).

    Returns:
        The score folder, and protocol id -> stem -> metric -> value.

    Raises:
        ValueError: for an unknown protocol, a name that can't be a folder's, a track without one
            of the stems, or estimates that are not finite; nothing of that track is written.
    """
    chosen = [
        find_protocol(name).on(estimator.stems, best_order=estimator.best_order)
        for name in protocols
    ]
    folder = run_folder(scores_root, dataset.name, estimator.about["method"], run)
    results: dict[str, list[TrackScores]] = {protocol.label: [] for protocol in chosen}
    digests: dict[str, dict[str, str]] = {protocol.label: {} for protocol in chosen}
    tracks = dataset.split("test")
    for done, track in enumerate(tracks):
        references, estimates = track.read_stems(estimator.stems), estimator(track)
        check_estimates(track, references, estimates)
        if keep is not None:
            keep(track, estimates)
        mixture, rate = track.read_mixture()[None], track.info.sample_rate
        song = Song(track.name, estimator.stems, references, estimates, mixture, rate)
        for protocol in chosen:
            scores = protocol(song, engine)
            digests[protocol.label][track.name] = write_track(folder, protocol.label, scores)
            results[protocol.label].append(scores)
        if progress is not None:
            progress(track.name, done + 1, len(tracks))
    described = {
        p.label: describe_protocol(p, results[p.label], digests[p.label], engine) for p in chosen
    }
    write_record(
        folder,
        run,
        estimator.about,
        _describe_dataset(dataset),
        estimator.stems,
        described,
        _describe_cost(estimator),
        command,
    )
    return folder, {p.id: aggregate(results[p.label], p) for p in chosen}


def check_estimates(track: Track, references: Audio, estimates: Audio) -> None:
    """Raise ValueError if shapes differ or an estimate holds NaN or infinity."""
    if references.shape != estimates.shape:
        raise ValueError(
            f"track {track.name}: the estimates are {estimates.shape}, the references "
            f"{references.shape}: both must be (stem, channel, sample)"
        )
    bad = np.argwhere(~np.isfinite(estimates))
    if len(bad):
        raise ValueError(
            f"track {track.name}: the estimate of stem {bad[0][0]} is NaN or infinite at sample "
            f"{bad[0][2]}: the weights are broken, use others"
        )


def _describe_dataset(dataset: Dataset) -> dict[str, Any]:
    tracks = [track.name for track in dataset.test]
    return {
        "name": dataset.name,
        "split": "test",
        "tracks": tracks,
        "fingerprint": dataset.fingerprint,
    }


def _describe_cost(estimator: Estimator) -> dict[str, Any]:
    is_model = estimator.about["kind"] == "model"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return {
        "gmac_per_second": estimator.about["gmac_per_second"],
        "real_time_factor": round(estimator.real_time_factor, 4) if is_model else None,
        "peak_memory_bytes": peak_memory_bytes(device) if is_model else None,
    }
