"""Score many tracks in parallel; a repeated run scores only what is missing."""

from __future__ import annotations

import hashlib
import json
import math
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mss_shared import atomic, console
from mss_shared.console import Report
from mss_shared.evaluation import score_files
from mss_shared.evaluation.file_signals import FileSignals
from mss_shared.evaluation.protocols import Protocol, find_protocol
from mss_shared.evaluation.score_files import TrackScores
from mss_shared.evaluation.track_metrics import BSSEVAL_METRICS, Engine, Song
from mss_shared.metrics.bsseval_signals import cpu_count
from mss_shared.names import is_file_name, is_name

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


class Journal:
    """Which tracks of a run are done, and from which files; stored beside the scores."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.folder, self.engine = folder, engine
        self.path = folder / "finished.json"
        self.entries: dict[str, dict[str, Any]] = {}
        if self.path.is_file():
            self.entries = _read_entries(self.path)

    def find(self, song: Song, protocol: Protocol) -> TrackScores | None:
        """The scores of an earlier run, if they are intact and the same files gave them."""
        entry = self.entries.get(f"{protocol.label}/{song.name}")
        path = score_files.track_file(self.folder, protocol.label, song.name)
        if not entry or entry["inputs"] != self._inputs(song, protocol) or not path.is_file():
            return None
        text = path.read_text(encoding="utf-8")
        if hashlib.sha256(text.encode()).hexdigest() != entry["sha256"]:
            return None
        read = score_files.from_json(text, song.name, protocol.id, str(path))
        return TrackScores(song.name, read.targets, entry["notes"], protocol.id)

    def add(self, song: Song, protocol: Protocol, scores: TrackScores) -> None:
        """Write a track's scores, then record that they are done."""
        self.entries[f"{protocol.label}/{song.name}"] = {
            "inputs": self._inputs(song, protocol),
            "sha256": score_files.write_track(self.folder, protocol.label, scores),
            "notes": dict(scores.notes),
        }
        atomic.write_text(self.path, json.dumps(self.entries, indent=2) + "\n")

    def digests(self, protocol: Protocol, tracks: Sequence[str]) -> dict[str, str]:
        """Track to the SHA-256 of its score file."""
        return {name: self.entries[f"{protocol.label}/{name}"]["sha256"] for name in tracks}

    def keep_only(self, protocols: Sequence[Protocol], tracks: Sequence[str]) -> None:
        """Remove the score files of tracks and protocols that are not part of this run."""
        kept = {f"{p.label}/{name}" for p in protocols for name in tracks}
        for key in sorted(set(self.entries) - kept):
            label, _, name = key.partition("/")
            del self.entries[key]
            try:
                path = score_files.track_file(self.folder, label, name)
            except ValueError:  # it lies elsewhere, by a link
                continue
            path.unlink(missing_ok=True)
            for empty in (path.parent, path.parent.parent):
                if empty.is_dir() and not any(empty.iterdir()):
                    empty.rmdir()
        if self.entries:
            atomic.write_text(self.path, json.dumps(self.entries, indent=2) + "\n")

    def _inputs(self, song: Song, protocol: Protocol) -> str:
        """Digest of the protocol's id and of every file's path, size and time."""
        lines = [protocol.id, *protocol.targets, *song.stems, str(self.engine.museval)]
        for signals in (song.references, song.estimates, song.mixture):
            assert isinstance(signals, FileSignals)
            for path in signals.files:
                state = path.stat()
                lines.append(f"{path.resolve()} {state.st_size} {state.st_mtime_ns}")
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _read_entries(path: Path) -> dict[str, dict[str, Any]]:
    """Label/track to its journal entry; malformed entries are dropped, so they are scored again."""
    try:
        journal = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError):
        return {}
    entries = journal.items() if isinstance(journal, dict) else ()
    return {key: entry for key, entry in entries if _is_entry(key, entry)}


def _is_entry(key: str, entry: Any) -> bool:
    """Whether key and values have the form that ``Journal.add`` writes."""
    label, _, track = key.partition("/")
    if not (is_name(label) and is_file_name(track) and isinstance(entry, dict)):
        return False
    notes = entry.get("notes")
    texts = [entry.get("inputs"), entry.get("sha256")]
    if not isinstance(notes, dict) or not all(isinstance(text, str) for text in texts):
        return False
    return all(isinstance(note, str) for note in notes.values())


def score_batch(
    songs: Sequence[Song],
    protocols: Sequence[Protocol],
    folder: Path,
    *,
    jobs: int | None = None,
    engine: Engine | None = None,
    progress: Report | None = None,
) -> tuple[Batch, Journal]:
    """Score every song under every protocol and write each as soon as it is done.

    Args:
        songs: tracks whose signals are files.
        protocols: with their targets chosen.
        folder: the run's folder.
        jobs: processes; by default one per CPU. The files are the same to the bit for any number.
        engine: what computes BSSEval; museval is also compared with ours.
        progress: called with (track, done, all).

    Returns:
        The scores, and the journal.
    """
    chosen = engine or Engine()
    journal, batch = Journal(folder, chosen), Batch()
    todo: list[tuple[Song, list[Protocol]]] = []
    for song in songs:
        earlier = {p.label: journal.find(song, p) for p in protocols}
        batch.tracks[song.name] = {k: scores for k, scores in earlier.items() if scores}
        if missing := [p for p in protocols if not earlier[p.label]]:
            todo.append((song, missing))
    done, total = len(songs) - len(todo), len(songs)
    if progress is not None:
        progress(f"{done} done before" if done else "", done, total)
    if todo:
        (folder / "run.json").unlink(missing_ok=True)  # it marks complete runs only
    for (song, missing), result in _results(todo, jobs, chosen):
        done += 1
        if isinstance(result, str):
            batch.faults[song.name] = result
            batch.tracks.pop(song.name)
        else:
            _keep(batch, journal, song, missing, result)
        if progress is not None:
            progress(song.name, done, total)
    return batch, journal


def _keep(
    batch: Batch, journal: Journal, song: Song, protocols: Sequence[Protocol], result: _Result
) -> None:
    for protocol, scores in zip(protocols, result.scores, strict=True):
        journal.add(song, protocol, scores)
        # Rounded as in the file, so that an interrupted run gives the numbers of an uninterrupted
        # one.
        read = score_files.from_json(score_files.to_json(scores), song.name, protocol.id)
        batch.tracks[song.name][protocol.label] = TrackScores(
            song.name, read.targets, scores.notes, protocol.id
        )
    for metric, difference in result.differences.items():
        batch.differences[metric] = max(difference, batch.differences.get(metric, 0.0))


@dataclass(frozen=True)
class _Result:
    scores: tuple[TrackScores, ...]
    differences: dict[str, float]


def _results(
    todo: Sequence[tuple[Song, list[Protocol]]], jobs: int | None, engine: Engine
) -> Iterator[tuple[tuple[Song, list[Protocol]], _Result | str]]:
    """Each item with its result, or with an error sentence, in order of completion."""
    cpus = cpu_count()
    count = max(1, min(jobs or cpus, len(todo)))
    work = partial(_score, engine=Engine(engine.museval, max(1, cpus // count)))
    if count == 1:
        for song, protocols in todo:
            yield (song, protocols), work(song, [p.name for p in protocols])
        return
    # Spawned, not forked: the libraries' threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context) as pool:
        futures = {
            pool.submit(work, song, [p.name for p in protocols]): (song, protocols)
            for song, protocols in todo
        }
        try:
            for future in as_completed(futures):
                yield futures[future], _outcome(future.result)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _outcome(result: Callable[[], _Result | str]) -> _Result | str:
    try:
        return result()
    except BrokenProcessPool:
        return "its process was killed, perhaps for lack of memory: run again with fewer --jobs"


def _score(song: Song, names: Sequence[str], engine: Engine) -> _Result | str:
    """Score one song under some protocols; runs in a process of its own if jobs are several."""
    try:
        protocols = [find_protocol(name).on(song.stems) for name in names]
        scores = tuple(protocol(song, engine) for protocol in protocols)
        differences = {}
        if engine.museval:
            ours = tuple(protocol(song, Engine(workers=engine.workers)) for protocol in protocols)
            differences = _differences(scores, ours)
        return _Result(scores, differences)
    except (ValueError, OSError, ImportError, MemoryError) as error:
        return console.sentence(error) or "not enough memory: run again with fewer --jobs"


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
