"""Score an estimator on the test tracks of a data set and leave a score folder behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mss_shared.audio import Audio
from mss_shared.checkpoints.digest import weights_digest
from mss_shared.console import Report
from mss_shared.datasets import Dataset, Track
from mss_shared.evaluation.batch import Work, score_works
from mss_shared.evaluation.block_signals import (
    BlockSignals,
    discard,
    mixture_of,
    spool,
    spool_folder,
    stems_of,
)
from mss_shared.evaluation.cost import count_gmac
from mss_shared.evaluation.models_record import describe_models
from mss_shared.evaluation.protocols import Protocol, aggregate, find_protocols
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
from mss_shared.evaluation.shards import WHOLE, Shard, check_merged
from mss_shared.evaluation.track_metrics import OURS, Engine, Song
from mss_shared.interfaces import Checkpoint
from mss_shared.provenance import commit, without_absolute_paths
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.device import peak_memory_bytes
from mss_shared.separation.overlap_add import separate_blocks
from mss_shared.separation.separator import Separator, interchangeable
from mss_shared.stopping import interruptible, uninterrupted

Summary = dict[str, dict[str, dict[str, float]]]


@dataclass
class Estimator:
    """Something that estimates stems, and its description for tables.

    Attributes:
        stems: names of the estimates, in order.
        estimate: track -> (stem, channel, sample) blocks, in order.
        about: the fields of ``run.json`` that describe the method.
        best_order: whether its stems are interchangeable (permutation-invariant outputs); each
            track is then scored in the order that fits best.
    """

    stems: tuple[str, ...]
    estimate: Callable[[Track], Iterable[Audio]]
    about: dict[str, Any]
    best_order: bool = False


@dataclass(frozen=True)
class Settings:
    """How a data set is scored; no value of these changes a score.

    Attributes:
        engine: what computes BSSEval.
        overwrite: replace the scores of another run of that name.
        jobs: processes that score, while this one estimates; with 1, it does both.
        shard: the part of the tracks to score, and to keep a journal of; no record is written.
        merge: score nothing, and write the record of a run whose shards are done.
    """

    engine: Engine = OURS
    overwrite: bool = False
    jobs: int = 1
    shard: Shard = WHOLE
    merge: bool = False


PLAIN = Settings()


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

    def estimate(track: Track) -> Iterator[Audio]:
        def read(start: int, samples: int) -> torch.Tensor:
            samples = min(samples, track.info.samples - start)
            return torch.from_numpy(track.read_mixture(start, samples))

        for block in separate_blocks(model, read, track.info.samples, inference, batch=batch):
            yield block.numpy()

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
    name: str,
    kind: str,
    oracle: Callable[[Track, tuple[str, ...]], Iterable[Audio]],
    stems: tuple[str, ...],
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

    def estimate(track: Track) -> Iterator[Audio]:
        done = 0
        for block in estimator.estimate(track):
            mixture = track.read_mixture(done, block.shape[-1])
            yield np.concatenate([block, (mixture - block.sum(axis=0))[None]])
            done += block.shape[-1]

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
    keep: Callable[[Track, BlockSignals], None] | None = None,
    settings: Settings = PLAIN,
    progress: Report | None = None,
) -> tuple[Path, Summary]:
    """Score every test track under every protocol; tracks that are done are not scored again.

    Songs are read, estimated and scored in blocks: memory does not grow with their length, unless
    the model takes them whole or a protocol says so. Estimates lie in a temporary file meanwhile.

    Args:
        estimator: what to score.
        dataset: its test tracks are used.
        protocols: names; the first is the headline.
        scores_root: the score folder becomes ``<root>/<dataset>/<method>/<run>``.
        run: the run's name.
        command: what the user typed, for the record.
        keep: called with each track and its estimates, for instance to write them.
        settings: how.
        progress: called with (track, done, all).

    Returns:
        The score folder, and protocol id -> stem -> metric -> value, of the shard's tracks.

    Raises:
        ValueError: for an unknown protocol, a name that can't be a folder's, a track without one
            of the stems, estimates that are not finite (nothing of that track is written), scores
            of other weights, settings or songs in the folder, or tracks to merge without scores.
    """
    chosen = [
        protocol.on(estimator.stems, best_order=estimator.best_order)
        for protocol in find_protocols(protocols)
    ]
    about = judge_training(estimator.about, dataset)
    described_set = describe_dataset(dataset)
    inputs = digest_inputs(about, dataset, estimator.stems, settings.engine)
    folder = run_folder(scores_root, dataset.name, about["method"], run)
    scores = ScoreFolder(folder, inputs, settings.shard)
    scores.open(about, described_set, overwrite=settings.overwrite)
    tracks = settings.shard.choose(dataset.split("test"))
    todo = [(t, [p for p in chosen if scores.find(t.name, p) is None]) for t in tracks]
    if settings.merge:
        check_merged([track.name for track, missing in todo if missing], len(tracks), folder)
    elif keep is None:
        todo = [(track, missing) for track, missing in todo if missing]
    report = _counted(progress, len(tracks))
    report("", len(tracks) - len(todo))
    if not settings.merge:
        _score_tracks(estimator, todo, scores, settings, keep, report)
    names = [track.name for track in tracks]
    results = {p.label: [scores.get(name, p) for name in names] for p in chosen}
    if settings.shard == WHOLE:
        if scores.needs_record:
            # Of these protocols; the record's own command and commit are the latest.
            origin = {"command": without_absolute_paths(command), "commit": commit()}
            described = {
                p.label: describe_protocol(
                    p, results[p.label], scores.digests(p, names), settings.engine
                )
                | origin
                for p in chosen
            }
            cost = _describe_cost(estimator, scores.costs(chosen[0], names))
            scores.check_owner()
            fields = (estimator.stems, scores.earlier_protocols() | described, cost)
            write_record(folder, about, described_set, *fields, command, inputs)
        scores.close()
    return folder, {p.id: aggregate(results[p.label], p) for p in chosen}


def _counted(progress: Report | None, total: int) -> Callable[[str, int], None]:
    """A function of (track, more of them done) that reports how many are done so far."""
    done = 0

    def report(what: str, more: int) -> None:
        nonlocal done
        done += more
        if progress is not None and more:
            progress(what, done, total)

    return report


def _score_tracks(
    estimator: Estimator,
    todo: Sequence[tuple[Track, list[Protocol]]],
    scores: ScoreFolder,
    settings: Settings,
    keep: Callable[[Track, BlockSignals], None] | None,
    report: Callable[[str, int], None],
) -> None:
    """Estimate the stems of tracks, score them, and write the scores of each as it is done."""
    missing = {track.name: protocols for track, protocols in todo}
    costs: dict[str, dict[str, float]] = {}
    with uninterrupted(), spool_folder() as spools, interruptible():

        def works() -> Iterator[Work]:
            for track, protocols in todo:
                began = time.perf_counter()
                path = spools / f"{len(costs)}.f32"
                stems = estimator.stems
                references = stems_of(track, stems)
                estimates = spool(estimator.estimate(track), len(stems), track, path)
                seconds = time.perf_counter() - began
                costs[track.name] = _cost(track, seconds)
                if keep is not None:
                    keep(track, estimates)
                signals = references, estimates, mixture_of(track)
                song = Song(track.name, stems, *signals, track.info.sample_rate)
                yield Work(song, tuple(p.name for p in protocols), estimator.best_order)

        jobs = min(settings.jobs, max(1, len(todo)))
        with closing(score_works(works(), settings.engine, jobs)) as results:
            for work, result in results:
                name = work.song.name
                if isinstance(result, str):
                    raise ValueError(f"track {name} has no scores: {result}")
                cost = costs[name] if estimator.about["kind"] == "model" else None
                for protocol, found in zip(missing[name], result.scores, strict=True):
                    scores.add(protocol, found, cost)
                discard(work.song.estimates)
                report(name, 1)


def _cost(track: Track, seconds: float) -> dict[str, float]:
    """What the estimates of a track took."""
    # A GPU that the model does not use holds nothing.
    on_gpu = torch.cuda.is_available() and torch.cuda.max_memory_allocated() > 0
    device = torch.device("cuda" if on_gpu else "cpu")
    return {
        "seconds": round(seconds, 4),
        "audio_seconds": track.info.seconds,
        "peak_memory_bytes": peak_memory_bytes(device),
    }


def _describe_cost(estimator: Estimator, costs: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Of the estimates of all tracks, wherever and whenever they were made.

    The real-time factor is seconds of computation per second of audio.
    """
    totals = {name: sum(cost.get(name, 0.0) for cost in costs) for name in _TIMES}
    timed = totals["audio_seconds"] > 0
    factor = totals["seconds"] / totals["audio_seconds"] if timed else 0.0
    peaks = [int(cost.get("peak_memory_bytes", 0)) for cost in costs]
    return {
        "gmac_per_second": estimator.about["gmac_per_second"],
        "real_time_factor": round(factor, 4) if timed else None,
        "peak_memory_bytes": max(peaks) if peaks else None,
    }


_TIMES = ("seconds", "audio_seconds")
