"""Separate a batch of songs; a batch can be resumed, and shared by several processes.

A song is skipped if the manifest lists it as done with the same input, settings and files. Locks
keep several processes from working on the same song. An existing file is overwritten only if the
manifest says it was written from the same song.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mss_shared import console
from mss_shared.audio.file_part import check_file
from mss_shared.names import real_path
from mss_shared.separation.batch.inputs import SongFile
from mss_shared.separation.batch.locks import LOCKS, clear, holds, locked, part_prefix
from mss_shared.separation.batch.manifest import MANIFEST, Manifest, Record, describe_input
from mss_shared.separation.output.options import Guard, Separated
from mss_shared.separation.output.stem_files import missing_folders, remove_empty
from mss_shared.stopping import interruptible, stoppable, uninterrupted

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
    """Separate songs that are not finished yet; if one fails, the others still run.

    Songs held by another process are tried again after all others: by then they may be finished,
    or the process may have died. SIGTERM and SIGHUP stop the batch like Ctrl-C, with exit code 128
    plus the signal's number.

    Args:
        songs: from ``find_songs``.
        out: the output folder.
        settings: everything that affects the output, as plain values.
        separate: separates one song; its errors become that song's record. It must call its
            guard's ``check`` before files are created and ``begin`` before they are renamed.
        overwrite: separate finished songs again, and overwrite files of other origin.
        report: called with each song's record as soon as it is known.

    Returns:
        A record per song. Its ``state`` is ``done``; ``skipped`` if finished before; ``elsewhere``
        if another process holds it; or ``failed``, with an ``error`` and a ``cause``, which is
        ``user`` or ``program``.
    """
    new_folders = missing_folders(out)
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
        with stoppable():
            for again in (False, True):
                for song in songs:
                    if song in records:
                        continue
                    record = batch.attempt(song, patient=again)
                    if again or record["state"] != "elsewhere":
                        records[song] = record
                        report(record)
    finally:
        with suppress(OSError):  # not empty: another process holds locks
            (out / LOCKS).rmdir()
        remove_empty(new_folders)
    return [records[song] for song in songs]


def settings_digest(settings: Mapping[str, Any]) -> str:
    """SHA-256 of settings, independent of the order of their keys."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class _Batch:
    """What the songs of a batch have in common.

    Attributes:
        inputs: ids (see ``_file_id``) of all input files.
        taken: output path -> the song it was written from in this run.
    """

    out: Path
    settings: str
    separate: Action
    manifest: Manifest
    overwrite: bool
    inputs: frozenset[tuple[int, int]]
    taken: dict[str, SongFile] = field(default_factory=dict)

    def attempt(self, song: SongFile, patient: bool) -> Record:
        """Separate a song and return its record, also on failure; ``patient`` as in ``locked``."""
        try:
            return self._one(song, patient)
        except (ValueError, OSError, ImportError) as error:
            return _failed(song, "user", console.sentence(error))
        except Exception as error:  # a bug must not cost the user the other songs
            traceback.print_exc(file=sys.stderr)
            message = f"{song.path}: {type(error).__name__}: {console.sentence(error)}"
            return _failed(song, "program", message)

    def _one(self, song: SongFile, patient: bool) -> Record:
        if song.refusal is not None:
            raise ValueError(song.refusal)
        if finished := self._finished(song):
            return finished
        check_file(song.path)
        hold = locked(self.out, song.name, patient=patient)
        with uninterrupted(), hold as holder, interruptible():
            if holder is None:
                # Check again: another process may have finished it in the meantime.
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
        record = self.manifest.finished(song.name, song.path, self.settings)
        return record and {**record, "state": "skipped"}

    def _separated(self, song: SongFile) -> Record:
        began = time.monotonic()
        guard = _SongGuard(self, song)
        separated = self.separate(song, guard)
        record = {
            "song": song.name,
            "state": "done",
            "input": guard.origin,
            "settings": self.settings,
            **_describe_outputs(separated, self.manifest),
            "seconds": round(time.monotonic() - began, 3),
        }
        self.manifest.add(record)
        return record


@dataclass(frozen=True)
class _SongGuard:
    """The guard of one song's files: checks them and records them in the manifest."""

    batch: _Batch
    song: SongFile

    @cached_property
    def origin(self) -> Record:
        """What identifies the song, asked once it is open: what is no sound may be of any size."""
        return describe_input(self.song.path)

    @property
    def part_prefix(self) -> str:
        """Known to the next holder of the song, who may have to clean up."""
        return part_prefix(self.batch.out, self.song.name)

    def check(self, paths: Mapping[str, Path]) -> None:
        """Reject outputs that would overwrite an input, another song's stems, or foreign files."""
        origin = self.origin  # before any time passes in which the song may change
        out = real_path(self.batch.out)
        for path in dict.fromkeys(paths.values()):
            if not real_path(path.parent).is_relative_to(out):
                raise ValueError(
                    f"{path} would lead out of {self.batch.out} by a link: remove the link, or "
                    f"name its target with --out"
                )
            first = os.path.relpath(path, self.batch.out).split(os.sep)[0]
            if first.lower() in (MANIFEST, LOCKS):
                raise ValueError(
                    f"{path} has the place of {self.batch.out / first}, which lists the songs that "
                    f"are done or begun: rename the song, or choose another --filename"
                )
            if _file_id(path) in self.batch.inputs:
                raise ValueError(
                    f"the stems of {self.song.path} would overwrite {path}, which is itself an "
                    f"input: choose another --out"
                )
            other = self.batch.taken.get(os.path.abspath(path))
            if other is not None and other != self.song:
                raise ValueError(
                    f"the stems of {self.song.path} would overwrite {path}, just written from "
                    f"{other.path}: separate them in two runs, each with its own --out"
                )
            if self.batch.overwrite or not os.path.lexists(path):
                continue
            if not self.batch.manifest.is_from(path, origin):
                raise ValueError(
                    f"{path} exists and was not written from {self.song.path}: choose another "
                    f"--out, or --overwrite"
                )

    def begin(self, paths: Mapping[str, Path]) -> None:
        """Record in the manifest whose files they are, and that they are not complete."""
        self.check(paths)  # again: separating takes time, and files may have appeared
        if not holds(self.batch.out, self.song.name):
            raise OSError(
                f"{self.song.path} was taken over by another process while this one was suspended: "
                f"leave it to that process"
            )
        manifest = self.batch.manifest
        manifest.add(
            {
                "song": self.song.name,
                "state": "writing",
                "input": self.origin,
                "settings": self.batch.settings,
                "outputs": {
                    name: {"path": manifest.relative(path)} for name, path in paths.items()
                },
            }
        )
        self.batch.taken.update({os.path.abspath(path): self.song for path in paths.values()})


def _file_id(path: Path) -> tuple[int, int] | None:
    """Device and inode, the same for all names of a file; None if there is no file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _describe_outputs(separated: Separated, manifest: Manifest) -> Record:
    depth = separated.null_depth_dbfs
    return {
        "outputs": {
            name: {"path": manifest.relative(path), "bytes": path.stat().st_size}
            for name, path in separated.paths.items()
        },
        # JSON has no infinity: an exact sum is a null depth of null.
        "sum_is_exact": None if depth is None else depth == float("-inf"),
        "null_depth_dbfs": None if depth in (None, float("-inf")) else depth,
        "joint_gain_db": separated.joint_gain_db,
        "notes": list(separated.notes),
    }


def _failed(song: SongFile, cause: str, error: str) -> Record:
    where = error if str(song.path) in error else f"{song.path}: {error}"
    return {"song": song.name, "state": "failed", "cause": cause, "error": where}
