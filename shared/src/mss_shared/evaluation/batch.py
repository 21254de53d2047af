"""Score many tracks: in parallel, going on where an earlier run stopped, keeping what is done."""

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

Found = dict[str, TrackScores]  # by the protocol's label


@dataclass
class Batch:
    """What scoring a set of tracks gave.

    Attributes:
        tracks: track to its scores by protocol label, as they stand in the files.
        faults: track to one sentence.
        differences: largest distance between museval and ours by metric, in dB.
    """

    tracks: dict[str, Found] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)


class Journal:
    """Which tracks of a run are done, and from which files; lives beside the scores."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.folder, self.engine = folder, engine
        self.path = folder / "finished.json"
        self.entries: dict[str, dict[str, Any]] = {}
        if self.path.is_file():
            self.entries = _read_entries(self.path)

    def find(self, song: Song, protocol: Protocol) -> TrackScores | None:
        """The scores of an earlier run, if the same files gave them and they are still there."""
        entry = self.entries.get(f"{protocol.label}/{song.name}")
        path = score_files.track_file(self.folder, protocol.label, song.name)
        if not entry or entry["inputs"] != self._inputs(song, protocol) or not path.is_file():
            return None
        text = path.read_text(encoding="utf-8")
        if hashlib.sha256(text.encode()).hexdigest() != entry["sha256"]:
            return None
        read = score_files.from_json(text, song.name, protocol.id, str(path))
        return TrackScores(song.name, read.targets, entry["notes"], protocol.id)

    def add(self, song: Song, protocol: Protocol, found: TrackScores) -> None:
        """Write a track's scores, then that they are done."""
        self.entries[f"{protocol.label}/{song.name}"] = {
            "inputs": self._inputs(song, protocol),
            "sha256": score_files.write_track(self.folder, protocol.label, found),
            "notes": dict(found.notes),
        }
        atomic.write_text(self.path, json.dumps(self.entries, indent=2) + "\n")

    def digests(self, protocol: Protocol, tracks: Sequence[str]) -> dict[str, str]:
        """Track to the SHA-256 of its file."""
        return {name: self.entries[f"{protocol.label}/{name}"]["sha256"] for name in tracks}

    def keep_only(self, protocols: Sequence[Protocol], tracks: Sequence[str]) -> None:
        """Remove score files of tracks and protocols that this run does not have."""
        kept = {f"{p.label}/{name}" for p in protocols for name in tracks}
        for key in sorted(set(self.entries) - kept):
            label, _, name = key.partition("/")
            path = score_files.track_file(self.folder, label, name)
            path.unlink(missing_ok=True)
            for empty in (path.parent, path.parent.parent):
                if empty.is_dir() and not any(empty.iterdir()):
                    empty.rmdir()
            del self.entries[key]
        if self.entries:
            atomic.write_text(self.path, json.dumps(self.entries, indent=2) + "\n")

    def _inputs(self, song: Song, protocol: Protocol) -> str:
        """Digest of the protocol's id and of every file's place, size and time."""
        lines = [protocol.id, *protocol.targets, *song.stems, str(self.engine.museval)]
        for signals in (song.references, song.estimates, song.mixture):
            assert isinstance(signals, FileSignals)
            for path in signals.files:
                state = path.stat()
                lines.append(f"{path.resolve()} {state.st_size} {state.st_mtime_ns}")
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _read_entries(path: Path) -> dict[str, dict[str, Any]]:
    """Label/track to what a journal says of it; what is odd is scored again."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError):
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {key: entry for key, entry in entries if _is_entry(key, entry)}


def _is_entry(key: str, entry: Any) -> bool:
    """Whether key and values are of the kind that ``Journal.add`` writes."""
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
        folder: the run's.
        jobs: processes; by default one per CPU. No bit of a file depends on it.
        engine: who computes BSSEval; with museval the distance to ours is measured too.
        progress: called with (track, done, all).

    Returns:
        What was found, and the journal.
    """
    chosen = engine or Engine()
    journal, batch = Journal(folder, chosen), Batch()
    todo: list[tuple[Song, list[Protocol]]] = []
    for song in songs:
        earlier = {p.label: journal.find(song, p) for p in protocols}
        batch.tracks[song.name] = {k: found for k, found in earlier.items() if found}
        if missing := [p for p in protocols if not earlier[p.label]]:
            todo.append((song, missing))
    done, total = len(songs) - len(todo), len(songs)
    if progress is not None:
        progress(f"{done} done before" if done else "", done, total)
    if todo:
        (folder / "run.json").unlink(missing_ok=True)  # complete no more
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
    for protocol, found in zip(protocols, result.scores, strict=True):
        journal.add(song, protocol, found)
        # As written, so that a run in two parts gives the numbers of a run in one.
        read = score_files.from_json(score_files.to_json(found), song.name, protocol.id)
        batch.tracks[song.name][protocol.label] = TrackScores(
            song.name, read.targets, found.notes, protocol.id
        )
    for metric, distance in result.differences.items():
        batch.differences[metric] = max(distance, batch.differences.get(metric, 0.0))


@dataclass(frozen=True)
class _Result:
    scores: tuple[TrackScores, ...]
    differences: dict[str, float]


def _results(
    todo: Sequence[tuple[Song, list[Protocol]]], jobs: int | None, engine: Engine
) -> Iterator[tuple[tuple[Song, list[Protocol]], _Result | str]]:
    """Each item with its result, or a sentence, as they come."""
    cpus = cpu_count()
    count = max(1, min(jobs or cpus, len(todo)))
    work = partial(_score, engine=Engine(engine.museval, max(1, cpus // count)))
    if count == 1:
        for song, protocols in todo:
            yield (song, protocols), work(song, [p.name for p in protocols])
        return
    # Spawned, not forked: threads of the libraries do not survive a fork.
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
        return "its process was killed, perhaps for want of memory: run again with fewer --jobs"


def _score(song: Song, names: Sequence[str], engine: Engine) -> _Result | str:
    """One song under some protocols; in a process of its own if there are several jobs."""
    try:
        protocols = [find_protocol(name).on(song.stems) for name in names]
        found = tuple(protocol(song, engine) for protocol in protocols)
        differences = {}
        if engine.museval:
            ours = tuple(protocol(song, Engine(workers=engine.workers)) for protocol in protocols)
            differences = _differences(found, ours)
        return _Result(found, differences)
    except (ValueError, OSError, ImportError, MemoryError) as error:
        return console.sentence(error) or "not enough memory: run again with fewer --jobs"


def _differences(theirs: Sequence[TrackScores], ours: Sequence[TrackScores]) -> dict[str, float]:
    """Largest distance by metric of BSSEval; infinite where only one of the two is a number."""
    largest: dict[str, float] = {}
    for one, other in zip(theirs, ours, strict=True):
        for stem, frames in one.targets.items():
            for frame, mine in zip(frames, other.targets[stem], strict=True):
                for metric in set(frame.metrics) & set(BSSEVAL_METRICS):
                    distance = _distance(frame.metrics[metric], mine.metrics[metric])
                    largest[metric] = max(distance, largest.get(metric, 0.0))
    return largest


def _distance(one: float, other: float) -> float:
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    distance = abs(one - other)
    return math.inf if math.isnan(distance) else distance
