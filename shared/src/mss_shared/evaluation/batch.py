"""Score many tracks in parallel; a repeated run scores only what is missing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mss_shared import console
from mss_shared.audio.kept_open import KeptOpen
from mss_shared.console import Report
from mss_shared.cores import cpu_count
from mss_shared.evaluation.file_signals import FileSignals
from mss_shared.evaluation.journal import Journal
from mss_shared.evaluation.protocols import Protocol, find_protocol
from mss_shared.evaluation.score_files import TrackScores
from mss_shared.evaluation.shards import WHOLE, Shard
from mss_shared.evaluation.track_metrics import BSSEVAL_METRICS, Engine, Song
from mss_shared.evaluation.workers import work_on
from mss_shared.metrics.bsseval_signals import Signals
from mss_shared.names import real_path

ScoresByLabel = dict[str, TrackScores]  # by the protocol's label


@dataclass
class Batch:
    """The scores of a set of tracks.

    Attributes:
        tracks: track to its scores by protocol label, as rounded in the files.
        faults: track to the reason, in one sentence, why it has no scores.
        differences: metric to the largest difference between museval and ours, in dB.
    """

    tracks: dict[str, ScoresByLabel] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)


def score_batch(
    songs: Sequence[Song],
    protocols: Sequence[Protocol],
    folder: Path,
    *,
    jobs: int | None = None,
    engine: Engine | None = None,
    progress: Report | None = None,
    shard: Shard = WHOLE,
) -> tuple[Batch, Journal]:
    """Score every song under every protocol and write each as soon as it is done.

    Args:
        songs: tracks whose signals are files.
        protocols: with their targets chosen.
        folder: the run's folder.
        jobs: processes; by default one per CPU. The files are the same to the bit for any number.
        engine: what computes BSSEval; museval is also compared with ours.
        progress: called with (track, done, all).
        shard: which the songs are; it keeps a journal of its own.

    Returns:
        The scores, and the journal.
    """
    chosen = engine or Engine()
    journal, batch = Journal(folder, shard), Batch()
    todo: list[tuple[Song, list[Protocol]]] = []
    inputs: dict[str, dict[str, str]] = {}  # before the files are read: they may change meanwhile
    for song in songs:
        inputs[song.name] = inputs_of(song, protocols, chosen)
        earlier = find_scores(journal, song, protocols, inputs[song.name])
        batch.tracks[song.name] = earlier
        if missing := [p for p in protocols if p.label not in earlier]:
            todo.append((song, missing))
    done, total = len(songs) - len(todo), len(songs)
    if progress is not None:
        progress(f"{done} done before" if done else "", done, total)
    if todo:
        (folder / "run.json").unlink(missing_ok=True)  # it marks complete runs only
    with closing(_results(todo, jobs, chosen)) as results:
        for (song, missing), result in results:
            done += 1
            if isinstance(result, str):
                batch.faults[song.name] = result
                batch.tracks.pop(song.name)
            else:
                _keep(batch, journal, song, missing, result, inputs[song.name])
            if progress is not None:
                progress(song.name, done, total)
    return batch, journal


def find_scores(
    journal: Journal, song: Song, protocols: Sequence[Protocol], inputs: Mapping[str, str]
) -> ScoresByLabel:
    """The scores of a song that an earlier run computed from the same files."""
    found = {p.label: journal.find(song.name, p, inputs[p.label]) for p in protocols}
    return {label: scores for label, scores in found.items() if scores is not None}


def _keep(
    batch: Batch,
    journal: Journal,
    song: Song,
    protocols: Sequence[Protocol],
    result: Result,
    inputs: Mapping[str, str],
) -> None:
    for protocol, scores in zip(protocols, result.scores, strict=True):
        rounded = journal.add(protocol, scores, inputs[protocol.label])
        batch.tracks[song.name][protocol.label] = rounded
    for metric, difference in result.differences.items():
        batch.differences[metric] = max(difference, batch.differences.get(metric, 0.0))


def inputs_of(song: Song, protocols: Sequence[Protocol], engine: Engine) -> dict[str, str]:
    """What scores of a song depend on, by protocol: a digest, of the files as they are now."""
    return {protocol.label: _inputs(song, protocol, engine) for protocol in protocols}


def _inputs(song: Song, protocol: Protocol, engine: Engine) -> str:
    """Digest of the protocol's id and of every file's path, size and time."""
    lines = [protocol.id, *protocol.targets, *song.stems, str(engine.museval)]
    for signals in (song.references, song.estimates, song.mixture):
        assert isinstance(signals, FileSignals)
        for path in signals.files:
            state = path.stat()
            lines.append(f"{real_path(path)} {state.st_size} {state.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class Work:
    """One song to score; it can be sent to another process, as protocols can't.

    Attributes:
        song: whose signals are read from files.
        protocols: their names.
        best_order: whether the estimates are first put in the order that fits best.
    """

    song: Song
    protocols: tuple[str, ...]
    best_order: bool = False


@dataclass(frozen=True)
class Result:
    """The scores of a song by protocol, in order; and how far museval is from ours, in dB."""

    scores: tuple[TrackScores, ...]
    differences: dict[str, float]


def _results(
    todo: Sequence[tuple[Song, list[Protocol]]], jobs: int | None, engine: Engine
) -> Generator[tuple[tuple[Song, list[Protocol]], Result | str], None, None]:
    """Each item with its result, or with an error sentence, in order of completion."""
    count = max(1, min(jobs or cpu_count(), len(todo)))
    items = {song.name: (song, protocols) for song, protocols in todo}
    work = [Work(song, tuple(p.name for p in protocols)) for song, protocols in todo]
    with closing(score_works(work, engine, count)) as results:
        for each, result in results:
            yield items[each.song.name], result


def score_works(
    works: Iterable[Work], engine: Engine, jobs: int
) -> Generator[tuple[Work, Result | str], None, None]:
    """Score songs in up to ``jobs`` processes, as they come.

    Args:
        works: one per song; taken only when a process is free.
        engine: what computes BSSEval.
        jobs: processes; with one, this process does the work.

    Yields:
        Each with its result, or with an error sentence, in order of completion.
    """
    task = partial(score_song, engine=Engine(engine.museval, max(1, cpu_count() // jobs)))
    with closing(work_on(task, works, jobs)) as results:
        for work, result in results:
            yield work, _KILLED if result is None else result


_KILLED = "its process was killed, perhaps for lack of memory: run again with fewer --jobs"


def score_song(work: Work, engine: Engine) -> Result | str:
    """Score one song under some protocols, or say in a sentence why that can't be done."""
    try:
        with KeptOpen() as kept:
            return _score_song(_through(work.song, kept), work, engine)
    except (ValueError, OSError, ImportError, MemoryError) as error:
        return console.sentence(error) or "not enough memory: run again with fewer --jobs"


def _through(song: Song, kept: KeptOpen) -> Song:
    def opened(signals: Signals) -> Signals:
        return signals.through(kept) if isinstance(signals, FileSignals) else signals

    sides = opened(song.references), opened(song.estimates), opened(song.mixture)
    return Song(song.name, song.stems, *sides, song.sample_rate)


def _score_song(song: Song, work: Work, engine: Engine) -> Result:
    protocols = [
        find_protocol(name).on(song.stems, best_order=work.best_order) for name in work.protocols
    ]
    scores = tuple(protocol(song, engine) for protocol in protocols)
    differences = {}
    if engine.museval:
        ours = tuple(protocol(song, Engine(workers=engine.workers)) for protocol in protocols)
        differences = _differences(scores, ours)
    return Result(scores, differences)


def _differences(theirs: Sequence[TrackScores], ours: Sequence[TrackScores]) -> dict[str, float]:
    """BSSEval metric to the largest difference; infinite where only one side is NaN."""
    largest: dict[str, float] = {}
    for their_scores, our_scores in zip(theirs, ours, strict=True):
        for stem, their_frames in their_scores.targets.items():
            for their_frame, our_frame in zip(their_frames, our_scores.targets[stem], strict=True):
                for metric in set(their_frame.metrics) & set(BSSEVAL_METRICS):
                    difference = _difference(their_frame.metrics[metric], our_frame.metrics[metric])
                    largest[metric] = max(difference, largest.get(metric, 0.0))
    return largest


def _difference(theirs: float, ours: float) -> float:
    if theirs == ours or (math.isnan(theirs) and math.isnan(ours)):
        return 0.0
    difference = abs(theirs - ours)
    return math.inf if math.isnan(difference) else difference
