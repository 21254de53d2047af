"""What was written into an output folder, and from which inputs: ``OUT/separated.jsonl``.

A song has a line from before the first of its files gets its name, of the state ``writing``, and
one when all have theirs, ``done``. The last line of a song counts. A file belongs to the input of
the last line that names it.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

MANIFEST = "separated.jsonl"

Record = dict[str, Any]

# The fields of a line that are read.
_RECORD: dict[str, type] = {"song": str, "settings": str, "outputs": dict, "input": dict}
_INPUT: dict[str, type] = {"path": str, "bytes": int, "mtime_ns": int, "sha256": str}
_OUTPUT: dict[str, type] = {"path": str}
_LONGEST_NAME = 255  # bytes, of any file system in use


class Manifest:
    """The lines of an output folder, shared by all processes that work on it."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.path = out / MANIFEST
        self._read = 0
        self._records: dict[str, Record] = {}
        self._origins: dict[str, Record] = {}

    def find(self, name: str) -> Record | None:
        """The last record of a song, of whatever process."""
        self._catch_up()
        return self._records.get(name)

    def finished(self, name: str, path: Path, settings: str) -> Record | None:
        """A song's record if nothing has changed since: input, settings, what was written."""
        found = self.find(name)
        if found is None or found.get("state") != "done" or found["settings"] != settings:
            return None
        for output in found["outputs"].values():
            written = self.out / output["path"]
            if not written.is_file() or written.stat().st_size != output["bytes"]:
                return None
        if not path.is_file():
            return None
        now, then = path.stat(), found["input"]
        if now.st_size != then["bytes"]:
            return None
        untouched = now.st_mtime_ns == then["mtime_ns"] and _is_same(path, then["path"])
        return found if untouched or digest(path) == then["sha256"] else None

    def is_from(self, path: Path, origin: Record) -> bool:
        """Whether a file was last written from an input: that path, or one of the same bytes."""
        self._catch_up()
        found = self._origins.get(os.path.abspath(path))
        if found is None:
            return False
        return found.get("sha256") == origin["sha256"] or _is_same(origin["path"], found["path"])

    def written(self) -> list[Path]:
        """All files that lines name."""
        self._catch_up()
        return [Path(path) for path in self._origins]

    def add(self, record: Record) -> None:
        """Append a line at once, so that other processes' lines stay whole."""
        line = json.dumps(record, ensure_ascii=False)
        if not _is_utf8(line):  # of a file whose name is none
            line = json.dumps(record)
        line = ("\n" if self._ends_torn() else "") + line + "\n"
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)

    def place(self, path: Path) -> str:
        """A file as lines name it, seen from the output folder."""
        return Path(os.path.relpath(path, self.out)).as_posix()

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
            if record is None:
                continue
            self._records[record["song"]] = record
            for output in record["outputs"].values():
                self._origins[os.path.abspath(self.out / output["path"])] = record["input"]

    def _ends_torn(self) -> bool:
        """Whether a killed process left half a line."""
        if not self.path.is_file() or not self.path.stat().st_size:
            return False
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() != b"\n"


def describe_input(path: Path) -> Record:
    """What tells an input from another, and from itself after a change."""
    found = path.stat()
    return {
        "path": os.path.abspath(path),
        "bytes": found.st_size,
        "mtime_ns": found.st_mtime_ns,
        "sha256": digest(path),
    }


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_utf8(text: str) -> bool:
    return text.encode(errors="ignore").decode() == text


def _is_same(one: Path | str, other: Path | str) -> bool:
    return os.path.abspath(one) == os.path.abspath(other)


def _parse(line: bytes) -> Record | None:
    """A line of the manifest; None for half a line, or something else altogether."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not _are(record, _RECORD):
        return None
    is_done = record.get("state") == "done"
    fields = _OUTPUT | ({"bytes": int} if is_done else {})
    outputs = record["outputs"].values()
    if not all(_are(output, fields) and _is_below(output["path"]) for output in outputs):
        return None
    return record if _are(record["input"], _INPUT) else None


def _are(values: Any, fields: dict[str, type]) -> bool:
    """Whether an object has fields of these types; a NUL is in no path or name."""
    if not isinstance(values, dict):
        return False
    texts = [values[name] for name, kind in fields.items() if kind is str and name in values]
    return all(type(values.get(name)) is kind for name, kind in fields.items()) and not any(
        "\0" in str(text) for text in texts
    )


def _is_below(path: str) -> bool:
    """Whether a path as ``Manifest.place`` writes it lies below the output folder."""
    parts = Path(path).parts
    if os.path.isabs(path) or not parts or ".." in parts:
        return False
    return all(len(part.encode(errors="surrogatepass")) <= _LONGEST_NAME for part in parts)
