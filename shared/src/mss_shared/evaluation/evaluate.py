"""Score an estimator on the test tracks of a data set and leave a score folder behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
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
from mss_shared.evaluation.models_record import describe_models
from mss_shared.evaluation.protocols import Protocol, aggregate, find_protocol
from mss_shared.evaluation.run_record import (
    METHOD_FIELDS,
    describe_dataset,
    describe_protocol,
    digest_inputs,
    judge_training,
    write_record,
)
from mss_shared.evaluation.score_files import run_folder
from mss_shared.evaluation.score_folder import ScoreFolder
from mss_shared.evaluation.track_metrics import OURS, Engine, Song
from mss_shared.interfaces import Checkpoint
from mss_shared.provenance import commit, without_absolute_paths
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
    checkpoints: Sequence[Checkpoint],
    model: Separator,
    inference: InferenceConfig,
    *,
    options: Mapping[str, Any] | None = None,
    batch: int = 1,
) -> Estimator:
    """An estimator from checkpoints.

    Args:
        method: its name in tables.
        checkpoints: one, or several of different stems.
        model: their model, joined if they are several, on the device to use.
        inference: how songs are cut.
        options: values of the paper's own flags, which are already part of the model.
        batch: chunks per forward pass.
    """

    def estimate(track: Track) -> Audio:
        mixture = torch.from_numpy(track.read_mixture())
        result: Audio = separate(model, mixture, inference, batch=batch).numpy()
        return result

    assert isinstance(model, torch.nn.Module)
    about = {
        "kind": "model",
        "method": method,
        **describe_models(checkpoints, inference, options or {}),
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


def with_remainder(estimator: Estimator, name: str, *, stated: bool = False) -> Estimator:
    """The estimator with one more stem: the mixture minus the sum of all that it estimates.

    Args:
        estimator: of the other stems.
        name: of the stem.
        stated: whether the recipe says so; otherwise the result is a variant of it.

    Raises:
        ValueError: if it estimates that stem itself.
    """
    if name in estimator.stems:
        raise ValueError(f"--remainder {name}: the model estimates {name} itself")

    def estimate(track: Track) -> Audio:
        estimates = estimator.estimate(track)
        return np.concatenate([estimates, (track.read_mixture() - estimates.sum(axis=0))[None]])

    about = dict(estimator.about)
    about["settings"] = {**(about.get("settings") or {}), "remainder": name}
    if not stated:
        about |= {"verbatim": False, "reproduces": None}
    return replace(estimator, stems=(*estimator.stems, name), estimate=estimate, about=about)


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
    overwrite: bool = False,
) -> tuple[Path, Summary]:
    """Score every test track under every protocol; tracks that are done are not scored again.

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
        overwrite: replace the scores of another run of that name.

    Returns:
        The score folder, and protocol id -> stem -> metric -> value.

    Raises:
        ValueError: for an unknown protocol, a name that can't be a folder's, a track without one
            of the stems, estimates that are not finite (nothing of that track is written), or
            scores of other weights, settings or songs in the folder.
    """
    chosen = [
        find_protocol(name).on(estimator.stems, best_order=estimator.best_order)
        for name in protocols
    ]
    about = judge_training(estimator.about, dataset)
    described_set = describe_dataset(dataset)
    inputs = digest_inputs(about, dataset, estimator.stems, engine)
    folder = run_folder(scores_root, dataset.name, about["method"], run)
    scores = ScoreFolder(folder, inputs)
    scores.open(about, described_set, overwrite=overwrite)
    tracks = dataset.split("test")
    for done, track in enumerate(tracks):
        missing = [p for p in chosen if scores.find(track.name, p) is None]
        if missing or keep is not None:
            _score_track(estimator, track, missing, scores, engine, keep)
        if progress is not None:
            progress(track.name, done + 1, len(tracks))
    names = [track.name for track in tracks]
    results = {p.label: [scores.get(name, p) for name in names] for p in chosen}
    if scores.needs_record:
        # Of these protocols; the record's own command and commit are the latest.
        origin = {"command": without_absolute_paths(command), "commit": commit()}
        described = {
            p.label: describe_protocol(p, results[p.label], scores.digests(p, names), engine)
            | origin
            for p in chosen
        }
        cost = _describe_cost(estimator)
        fields = (estimator.stems, scores.earlier_protocols() | described, cost, command, inputs)
        scores.check_owner()
        write_record(folder, about, described_set, *fields)
    scores.close()
    return folder, {p.id: aggregate(results[p.label], p) for p in chosen}


def _score_track(
    estimator: Estimator,
    track: Track,
    protocols: Sequence[Protocol],
    scores: ScoreFolder,
    engine: Engine,
    keep: Callable[[Track, Audio], None] | None,
) -> None:
    """Estimate a track's stems, score them, and write the scores."""
    references, estimates = track.read_stems(estimator.stems), estimator(track)
    check_estimates(track, references, estimates)
    if keep is not None:
        keep(track, estimates)
    mixture, rate = track.read_mixture()[None], track.info.sample_rate
    song = Song(track.name, estimator.stems, references, estimates, mixture, rate)
    for protocol in protocols:
        scores.add(protocol, protocol(song, engine))


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


def _describe_cost(estimator: Estimator) -> dict[str, Any]:
    is_model = estimator.about["kind"] == "model"
    timed = is_model and estimator.audio_seconds > 0
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return {
        "gmac_per_second": estimator.about["gmac_per_second"],
        "real_time_factor": round(estimator.real_time_factor, 4) if timed else None,
        "peak_memory_bytes": peak_memory_bytes(device) if is_model else None,
    }
