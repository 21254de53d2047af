"""The manifest ``OUT/separated.jsonl``: which files were written, and from which inputs.

A song gets a line with the state ``writing`` before the first of its files is renamed to its final
path, and one with ``done`` after the last. The last line of a song counts. A file belongs to the
input of the last line that lists it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

from mss_shared.json_text import parse_json

MANIFEST = "separated.jsonl"

Record = dict[str, Any]

Types = dict[str, tuple[type, ...]]

# Fields that are read, and their types; lines without them are ignored.
_RECORD: Types = {"song": (str,), "settings": (str,), "outputs": (dict,), "input": (dict,)}
_INPUT: Types = {"path": (str,), "bytes": (int,), "mtime_ns": (int,), "sha256": (str,)}
_OUTPUT: Types = {"path": (str,)}
# Besides, of a song that is done.
_DONE: Types = {
    "sum_is_exact": (bool, type(None)),
    "null_depth_dbfs": (int, float, type(None)),
    "joint_gain_db": (int, float),
    "notes": (list,),
}
_DONE_OUTPUT: Types = {"path": (str,), "bytes": (int,)}
_LONGEST_LINE = 2**20  # bytes; what is longer is no line of ours
_MOST_BYTES = 2**30
_LONGEST_NAME = 255  # bytes; the limit of common file systems


def check_plain(path: Path) -> None:
    """Raise ValueError if a path is there and is a link, a folder, a pipe or a device."""
    if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
        raise ValueError(f"{path} is no plain file: remove it, or choose another --out")


class Manifest:
    """The manifest of an output folder, shared by all processes that write to it."""

    def __init__(self, out: Path) -> None:
        """Open it, or begin it.

        Raises:
            ValueError: if something else than a file has its name, or it is longer than 1 GB.
        """
        self.out = out
        self.path = out / MANIFEST
        check_plain(self.path)
        if self.path.is_file() and self.path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"{self.path} is longer than {_MOST_BYTES} bytes: move it away")
        self._read = 0
        self._records: dict[str, Record] = {}
        self._origins: dict[str, Record] = {}

    def find(self, name: str) -> Record | None:
        """The last record of a song, by any process."""
        self._catch_up()
        return self._records.get(name)

    def finished(self, name: str, path: Path, settings: str) -> Record | None:
        """The record of a finished song if input, settings and outputs are unchanged."""
        record = self.find(name)
        if record is None or record.get("state") != "done" or record["settings"] != settings:
            return None
        try:
            for output in record["outputs"].values():
                written = self.out / output["path"]
                if not written.is_file() or written.stat().st_size != output["bytes"]:
                    return None
        except OSError:  # a path that no file can have
            return None
        if not path.is_file():
            return None
        now, then = path.stat(), record["input"]
        if now.st_size != then["bytes"]:
            return None
        # Hash the input only if path or time leave a doubt.
        untouched = now.st_mtime_ns == then["mtime_ns"] and _is_same(path, then["path"])
        return record if untouched or digest(path) == then["sha256"] else None

    def is_from(self, path: Path, origin: Record) -> bool:
        """Whether a file was last written from this input: the same path, or the same bytes."""
        self._catch_up()
        known = self._origins.get(os.path.abspath(path))
        if known is None:
            return False
        return known.get("sha256") == origin["sha256"] or _is_same(origin["path"], known["path"])

    def origins(self) -> dict[str, str]:
        """All files listed, by absolute path, and the path of the input each was written from."""
        self._catch_up()
        return {path: origin["path"] for path, origin in self._origins.items()}

    def add(self, record: Record) -> None:
        """Append a line in one write, so that lines of several processes do not interleave.

        Raises:
            OSError: if it can't be written, or not all of it.
        """
        line = json.dumps(record, ensure_ascii=False)
        if not _is_utf8(line):  # a file name may hold any bytes
            line = json.dumps(record)
        line = ("\n" if self._ends_torn() else "") + line + "\n"
        content = line.encode()
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            if os.write(handle, content) < len(content):  # how a disk says that it is full
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        finally:
            os.close(handle)

    def relative(self, path: Path) -> str:
        """A path as the manifest stores it, relative to the output folder."""
        return Path(os.path.relpath(path, self.out)).as_posix()

    def _catch_up(self) -> None:
        if not self.path.is_file() or self.path.stat().st_size == self._read:
            return
        with self.path.open("rb") as file:
            file.seek(self._read)
            while line := file.readline(_LONGEST_LINE):
                if not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
                    break  # another process writes it
                self._read += len(line)
                self._add(line)

    def _add(self, line: bytes) -> None:
        record = _parse(line)
        if record is None:
            return
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
    """What identifies an input and reveals a later change of it."""
    status = path.stat()
    return {
        "path": os.path.abspath(path),
        "bytes": status.st_size,
        "mtime_ns": status.st_mtime_ns,
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
    """A line of the manifest; None if it is incomplete or not a record."""
    try:
        record = parse_json(line, "a line")
    except ValueError:
        return None
    if not isinstance(record, dict) or not _has_fields(record, _RECORD):
        return None
    is_done = record.get("state") == "done"
    if is_done and not _has_fields(record, _DONE):
        return None
    fields = _DONE_OUTPUT if is_done else _OUTPUT
    outputs = record["outputs"].values()
    if not all(_has_fields(output, fields) and _is_below(output["path"]) for output in outputs):
        return None
    return record if _has_fields(record["input"], _INPUT) else None


def _has_fields(values: Any, types: Types) -> bool:
    """Whether an object has fields of these types, without a NUL, which no path or name has."""
    if not isinstance(values, dict):
        return False
    for name, legal in types.items():
        value = values.get(name)
        if name not in values or type(value) not in legal or "\0" in str(value):
            return False
    return True


def _is_below(path: str) -> bool:
    """Whether a stored path lies below the output folder and can exist."""
    parts = Path(path).parts
    if os.path.isabs(path) or not parts or ".." in parts:
        return False
    try:
        return all(len(os.fsencode(part)) <= _LONGEST_NAME for part in parts)
    except UnicodeEncodeError:  # half a character, which no disk holds
        return False
