"""Many songs, one after the other: a manifest, locks, nothing done twice, nothing lost.

``OUT/separated.jsonl`` has a line per finished song; the last of a name counts. A song that is
there with the same input, settings and files is passed over. Locks in ``OUT/.separated`` keep
several processes on one folder apart.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mss_shared import console
from mss_shared.separation.delivery import Separated
from mss_shared.separation.inputs import SongFile

MANIFEST = "separated.jsonl"
LOCKS = ".separated"
FILL_TRIES = 20
TURN_SECONDS = 10.0  # of what takes a thousandth

Record = dict[str, Any]
Action = Callable[[SongFile], Separated]


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

    Args:
        songs: what ``find_songs`` found.
        out: the output folder.
        settings: all that changes what is written, as plain values.
        separate: separates one song; its errors become that song's record.
        overwrite: separate finished songs again.
        report: called with each song's record as soon as there is one.

    Returns:
        A record per song. Its ``state`` is ``done``; ``skipped``, finished before; ``elsewhere``,
        another process is at it; or ``failed``, with ``error`` and whether the ``cause`` is the
        ``user`` or the ``program``.
    """
    digest = settings_digest(settings)
    manifest = Manifest(out)
    records = []
    for song in songs:
        record = _attempt(song, out, digest, separate, manifest, overwrite)
        records.append(record)
        report(record)
    with suppress(OSError):  # another process may have its locks there
        (out / LOCKS).rmdir()
    return records


def settings_digest(settings: Mapping[str, Any]) -> str:
    """SHA-256 of settings of plain values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


class Manifest:
    """The finished songs of an output folder, shared by all processes that work on it."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.path = out / MANIFEST
        self._read = 0
        self._records: dict[str, Record] = {}

    def find(self, name: str) -> Record | None:
        """The last record of a song, of whatever process."""
        self._catch_up()
        return self._records.get(name)

    def written(self) -> list[Path]:
        """All files that records name."""
        self._catch_up()
        return [
            self.out / output["path"]
            for record in self._records.values()
            for output in record["outputs"].values()
        ]

    def add(self, record: Record) -> None:
        """Append a line at once, so that other processes' lines stay whole."""
        line = json.dumps(record, ensure_ascii=False) + "\n"
        if self._ends_torn():
            line = "\n" + line
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)

    def _catch_up(self) -> None:
        if not self.path.is_file() or self.path.stat().st_size == self._read:
            return
        with self.path.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            record = _parse(line)
            if record is not None:
                self._records[record["song"]] = record

    def _ends_torn(self) -> bool:
        """Whether a killed process left half a line."""
        if not self.path.is_file() or not self.path.stat().st_size:
            return False
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() != b"\n"


@contextmanager
def locked(out: Path, name: str) -> Iterator[str | None]:
    """Hold a song while the block runs: None, or who else holds it.

    A lock is a file that says process, host and the process's start. One whose process is gone is
    taken over.
    """
    lock = out / LOCKS / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock"
    holder = _acquire(lock)
    try:
        yield holder
    finally:
        if holder is None:
            lock.unlink(missing_ok=True)


def _attempt(song: SongFile, *more: Any) -> Record:
    """A song's record, also if it fails."""
    try:
        return _one(song, *more)
    except (ValueError, OSError, ImportError) as error:
        return _failed(song, "user", console.sentence(error))
    except Exception as error:  # the other songs shall not be lost to a mistake of ours
        traceback.print_exc(file=sys.stderr)
        said = f"{song.path}: {type(error).__name__}: {console.sentence(error)}"
        return _failed(song, "program", said)


def _one(
    song: SongFile,
    out: Path,
    settings: str,
    separate: Action,
    manifest: Manifest,
    overwrite: bool,
) -> Record:
    if not overwrite and (found := _finished(manifest, song, settings)):
        return {**found, "state": "skipped"}
    if not song.path.is_file():
        raise FileNotFoundError(f"there is no file {song.path}: check its name")
    with locked(out, song.name) as holder:
        if holder is not None:
            return {"song": song.name, "state": "elsewhere", "holder": holder}
        # Another process may have finished it since the first look.
        if not overwrite and (found := _finished(manifest, song, settings)):
            return {**found, "state": "skipped"}
        _sweep(out / song.name)
        about = _describe_input(song.path)
        began = time.monotonic()
        done = separate(song)
        record = {
            "song": song.name,
            "state": "done",
            "input": about,
            "settings": settings,
            **_describe_outputs(done, out),
            "seconds": round(time.monotonic() - began, 3),
        }
        manifest.add(record)
        return record


def _sweep(folder: Path) -> None:
    """Remove what a killed process began to write in a song's own folder."""
    for part in folder.glob(".part-*"):
        part.unlink(missing_ok=True)


def _finished(manifest: Manifest, song: SongFile, settings: str) -> Record | None:
    """A song's record if nothing has changed since: input, settings, what was written."""
    found = manifest.find(song.name)
    if found is None or found["settings"] != settings or not song.path.is_file():
        return None
    for output in found["outputs"].values():
        path = manifest.out / output["path"]
        if not path.is_file() or path.stat().st_size != output["bytes"]:
            return None
    now, then = song.path.stat(), found["input"]
    if now.st_size != then["bytes"]:
        return None
    same = now.st_mtime_ns == then["mtime_ns"] or _digest(song.path) == then["sha256"]
    return found if same else None


def _describe_input(path: Path) -> Record:
    found = path.stat()
    return {
        "path": str(path),
        "bytes": found.st_size,
        "mtime_ns": found.st_mtime_ns,
        "sha256": _digest(path),
    }


def _describe_outputs(done: Separated, out: Path) -> Record:
    depth = done.null_depth_dbfs
    return {
        "outputs": {
            name: {"path": _below(path, out), "bytes": path.stat().st_size}
            for name, path in done.paths.items()
        },
        # JSON has no infinity: a sum without any error has no depth.
        "sum_is_exact": None if depth is None else depth == float("-inf"),
        "null_depth_dbfs": None if depth in (None, float("-inf")) else depth,
        "joint_gain_db": done.joint_gain_db,
        "notes": list(done.notes),
    }


def _below(path: Path, out: Path) -> str:
    """A file as seen from the output folder; a pattern may have led it out of there."""
    return Path(os.path.relpath(path, out)).as_posix()


def _failed(song: SongFile, cause: str, error: str) -> Record:
    where = error if str(song.path) in error else f"{song.path}: {error}"
    return {"song": song.name, "state": "failed", "cause": cause, "error": where}


def _parse(line: bytes) -> Record | None:
    """A line of the manifest; None for half a line, or something else altogether."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    wanted = {"song", "settings", "outputs", "input"}
    return record if isinstance(record, dict) and wanted <= set(record) else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _acquire(lock: Path) -> str | None:
    """Make the lock; who holds it if that is another living process."""
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            holder = _read(lock)
        except FileNotFoundError:
            continue  # another process has removed the empty folder
        else:
            os.write(handle, _identity(os.getpid()).encode())
            os.close(handle)
            return None
        if holder is not None and _is_alive(holder):
            return holder
        _bury(lock)


def _bury(lock: Path) -> None:
    """Take a dead process's lock away, one process at a time: the next may be a living one's."""
    turn = lock.with_suffix(".turn")
    try:
        os.close(os.open(turn, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    except FileNotFoundError:
        return  # with the whole folder
    except FileExistsError:
        with suppress(FileNotFoundError):
            if time.time() - turn.stat().st_mtime > TURN_SECONDS:  # killed in its turn
                turn.unlink()
        time.sleep(0.01)
        return
    try:
        holder = _read(lock)
        if holder is not None and not _is_alive(holder):  # not one that has just gone
            lock.unlink(missing_ok=True)
    finally:
        turn.unlink(missing_ok=True)


def _read(lock: Path) -> str | None:
    """What a lock says; None if it is gone, '' if it is empty for longer than filling it takes."""
    for _ in range(FILL_TRIES):
        try:
            text = lock.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        if text:
            return text
        time.sleep(0.01)
    return ""


def _identity(process: int) -> str:
    """Host, process, and when it started, as numbers of processes come back."""
    return f"process {process} on {socket.gethostname()}, started {_started(process) or 'unknown'}"


def _started(process: int) -> str | None:
    """The kernel's count at the process's start; None if there is none or it can't be told."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]  # the name before it may hold spaces


def _is_alive(holder: str) -> bool:
    """Whether a lock's process runs; those of other hosts are taken to."""
    words = holder.split()
    if len(words) != 6 or not words[1].isdigit():
        return False
    process = int(words[1])
    if words[3] != f"{socket.gethostname()},":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's
    return _identity(process) == holder
