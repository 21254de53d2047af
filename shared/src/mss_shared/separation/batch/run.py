"""Many songs, one after the other: nothing done twice, nothing lost, nothing of others' written.

A song that the manifest has as done with the same input, settings and files is passed over. Locks
keep several processes on one folder apart. A file is written where there is none, or one that the
manifest knows to be of the same song.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from mss_shared import console
from mss_shared.separation.batch.inputs import SongFile
from mss_shared.separation.batch.locks import LOCKS, clear, holds, locked, part_prefix
from mss_shared.separation.batch.manifest import Manifest, Record, describe_input
from mss_shared.separation.output.options import Guard, Separated
from mss_shared.separation.output.stem_files import missing_folders, remove_empty

Action = Callable[[SongFile, Guard], Separated]


def run_batch(
    songs: Sequence[SongFile],
    out: Path,
    settings: Mapping[str, Any],
    separate: Action,
    *,
    overwrite: bool = False,
    report: Callable[[Record], None] = lambda record: None,
) -> list[Record]:
    """Separate songs that are not finished yet; a failure does not stop the others.

    A song that another process has is looked at again after all others: by then it may be
    finished, or its process dead. SIGTERM and SIGHUP end the batch as an interruption does, with
    the exit code 128 plus their number.

    Args:
        songs: what ``find_songs`` found.
        out: the output folder.
        settings: all that changes what is written, as plain values.
        separate: separates one song; its errors become that song's record. Its guard is to be
            asked before files are made, and told before they get their names.
        overwrite: separate finished songs again, and write over files that are not this song's.
        report: called with each song's record as soon as there is one.

    Returns:
        A record per song. Its ``state`` is ``done``; ``skipped``, finished before; ``elsewhere``,
        another process is at it; or ``failed``. If it failed it has an ``error``, and whether the
        ``cause`` is the ``user`` or the ``program``.
    """
    made = missing_folders(out)
    clear(out)
    batch = _Batch(
        out,
        settings_digest(settings),
        separate,
        Manifest(out),
        overwrite,
        frozenset(filter(None, (_file_id(song.path) for song in songs))),
    )
    records: dict[SongFile, Record] = {}
    try:
        with _stoppable():
            for again in (False, True):
                for song in songs:
                    if song in records:
                        continue
                    record = batch.attempt(song, patient=again)
                    if again or record["state"] != "elsewhere":
                        records[song] = record
                        report(record)
    finally:
        with suppress(OSError):  # another process may have its locks there
            (out / LOCKS).rmdir()
        remove_empty(made)
    return [records[song] for song in songs]


def settings_digest(settings: Mapping[str, Any]) -> str:
    """SHA-256 of settings of plain values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class _Batch:
    """What the songs of a batch have in common.

    Attributes:
        inputs: device and number of all its songs' files.
        taken: which song the files written so far are of.
    """

    out: Path
    settings: str
    separate: Action
    manifest: Manifest
    overwrite: bool
    inputs: frozenset[tuple[int, int]]
    taken: dict[str, SongFile] = field(default_factory=dict)

    def attempt(self, song: SongFile, patient: bool) -> Record:
        """A song's record, also if it fails; patient, another process's heartbeat is awaited."""
        try:
            return self._one(song, patient)
        except (ValueError, OSError, ImportError) as error:
            return _failed(song, "user", console.sentence(error))
        except Exception as error:  # the other songs shall not be lost to a mistake of ours
            traceback.print_exc(file=sys.stderr)
            said = f"{song.path}: {type(error).__name__}: {console.sentence(error)}"
            return _failed(song, "program", said)

    def _one(self, song: SongFile, patient: bool) -> Record:
        if song.refusal is not None:
            raise ValueError(song.refusal)
        if found := self._finished(song):
            return found
        if not song.path.is_file():
            raise FileNotFoundError(f"there is no file {song.path}: check its name")
        with locked(self.out, song.name, patient=patient) as holder:
            if holder is None:
                # Another process may have finished it since the first look.
                return self._finished(song) or self._separated(song)
        return {
            "song": song.name,
            "state": "elsewhere",
            "holder": holder.process,
            "lock": str(holder.lock),
        }

    def _finished(self, song: SongFile) -> Record | None:
        if self.overwrite:
            return None
        found = self.manifest.finished(song.name, song.path, self.settings)
        return found and {**found, "state": "skipped"}

    def _separated(self, song: SongFile) -> Record:
        began = time.monotonic()
        watch = _Watch(self, song, describe_input(song.path))
        done = self.separate(song, watch)
        record = {
            "song": song.name,
            "state": "done",
            "input": watch.origin,
            "settings": self.settings,
            **_describe_outputs(done, self.manifest),
            "seconds": round(time.monotonic() - began, 3),
        }
        self.manifest.add(record)
        return record


@dataclass(frozen=True)
class _Watch:
    """The guard of one song's files."""

    batch: _Batch
    song: SongFile
    origin: Record

    @property
    def part_prefix(self) -> str:
        """Who holds the song after this process may remove what it left."""
        return part_prefix(self.batch.out, self.song.name)

    def check(self, paths: Mapping[str, Path]) -> None:
        """Refuse a song that would be written over an input, another song, or others' files."""
        for path in dict.fromkeys(paths.values()):
            if _file_id(path) in self.batch.inputs:
                raise ValueError(
                    f"{self.song.path} would be written over {path}, which is given as a song: "
                    f"choose another --out"
                )
            other = self.batch.taken.get(os.path.abspath(path))
            if other is not None and other != self.song:
                raise ValueError(
                    f"{self.song.path} would be written over {path}, which was just written from "
                    f"{other.path}: separate them apart, each with its own --out"
                )
            if self.batch.overwrite or not os.path.lexists(path):
                continue
            if not self.batch.manifest.is_from(path, self.origin):
                raise ValueError(
                    f"{path} exists and was not written from {self.song.path}: choose another "
                    f"--out, or --overwrite"
                )

    def begin(self, paths: Mapping[str, Path]) -> None:
        """Note in the manifest whose files they are, and that they are not complete."""
        self.check(paths)  # time has passed
        if not holds(self.batch.out, self.song.name):
            raise OSError(
                f"{self.song.path} was taken over by another process while this one slept: leave "
                f"it to that one"
            )
        manifest = self.batch.manifest
        manifest.add(
            {
                "song": self.song.name,
                "state": "writing",
                "input": self.origin,
                "settings": self.batch.settings,
                "outputs": {name: {"path": manifest.place(path)} for name, path in paths.items()},
            }
        )
        self.batch.taken.update({os.path.abspath(path): self.song for path in paths.values()})


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as an interruption does, with its files removed.

    Handlers are the main thread's to set; those of others, and nohup's, are left alone.
    """
    numbers = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    ours = [n for n in numbers if n is not None and signal.getsignal(n) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _stop(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _file_id(path: Path) -> tuple[int, int] | None:
    """What two names of one file have in common; None if there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _describe_outputs(done: Separated, manifest: Manifest) -> Record:
    depth = done.null_depth_dbfs
    return {
        "outputs": {
            name: {"path": manifest.place(path), "bytes": path.stat().st_size}
            for name, path in done.paths.items()
        },
        # JSON has no infinity: a sum without any error has no depth.
        "sum_is_exact": None if depth is None else depth == float("-inf"),
        "null_depth_dbfs": None if depth in (None, float("-inf")) else depth,
        "joint_gain_db": done.joint_gain_db,
        "notes": list(done.notes),
    }


def _failed(song: SongFile, cause: str, error: str) -> Record:
    where = error if str(song.path) in error else f"{song.path}: {error}"
    return {"song": song.name, "state": "failed", "cause": cause, "error": where}
