"""Tags that go from a song to its stems, and the chunks of them that libsndfile can't write."""

from __future__ import annotations

import struct
import unicodedata
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from mss_shared.audio.pyav_reader import import_av, open_container

# Longer values, in bytes, are left out: they are no titles, and headers should stay small.
_LONGEST = 500
_LATEST = 2**64 - 1
_SHIFT = 2**20  # bytes moved at a time

# Frames of ID3v2.4 by field.
_FRAMES = {"title": b"TIT2", "artist": b"TPE1", "album": b"TALB", "track": b"TRCK", "date": b"TDRC"}


@dataclass(frozen=True)
class Tags:
    """What a file says about its song; empty texts are unknown.

    Attributes:
        title, artist, album, date: as in the file.
        track: its number, maybe with their count, as in 3/12.
        time_reference: samples since midnight at the first sample, from the bext chunk of broadcast
            wave files; None if unknown.
    """

    title: str = ""
    artist: str = ""
    album: str = ""
    track: str = ""
    date: str = ""
    time_reference: int | None = None

    def of_stem(self, stem: str) -> Tags:
        """The tags of a stem: its name is appended to the title, if there is one."""
        return replace(self, title=f"{self.title} ({stem})") if self.title else self

    def later(self, samples: int) -> Tags:
        """The tags of a part that starts ``samples`` samples after the beginning."""
        if self.time_reference is None:
            return self
        return replace(self, time_reference=min(self.time_reference + samples, _LATEST))

    def texts(self) -> dict[str, str]:
        """The known texts by field."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, str) and value}


def read_tags(path: Path) -> Tags:
    """The tags of a sound file; those that are damaged, or longer than 500 bytes, are left out.

    Source of the names: FFmpeg's generic metadata keys.
    """
    try:
        av = import_av(path)
    except ImportError:
        return Tags()
    try:
        with path.open("rb") as file, open_container(av, file, "surrogateescape") as container:
            found = dict(container.metadata)
            if container.format.name == "ogg" and container.streams.audio:
                found |= container.streams.audio[0].metadata
    except (av.FFmpegError, OSError, ValueError, LookupError, MemoryError):
        return Tags()
    values = {name.lower(): _clean(value) for name, value in found.items()}
    texts = {name: values.get(name, "") for name in _FRAMES}
    texts["artist"] = texts["artist"] or values.get("author", "")  # as aiff calls it
    reference = values.get("time_reference", "")
    in_range = reference.isascii() and reference.isdigit() and len(reference) <= 20
    time_reference = int(reference) if in_range and int(reference) <= _LATEST else None
    return Tags(**texts, time_reference=time_reference)


def _clean(value: str) -> str:
    """A text on one line; bytes that are not UTF-8 are Windows-1252, as in most old wav files."""
    content = value.encode(errors="surrogateescape")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    text = "".join(" " if unicodedata.category(mark)[0] == "C" else mark for mark in text)
    text = " ".join(text.split())
    return text if len(text.encode()) <= _LONGEST else ""


def set_texts(file: Any, tags: Tags) -> None:
    """Set the texts of a soundfile.SoundFile open for writing, before its first sample."""
    for name, value in tags.texts().items():
        setattr(file, "tracknumber" if name == "track" else name, value)


def add_time_reference(path: Path, samples: int) -> None:
    """Insert a bext chunk (EBU Tech 3285, version 1) before the samples of a closed wav file."""
    chunk = b"bext" + struct.pack("<I338xQH254x", 602, samples, 1)
    with path.open("r+b") as file:
        head = file.read(20)
        if head[8:12] != b"WAVE" or head[:4] not in (b"RIFF", b"RF64"):
            return
        [size] = struct.unpack("<I", head[16:20])
        is_long = head[:4] == b"RF64"  # its 64-bit sizes come first
        offset, kind = (20, "<Q") if is_long else (4, "<I")
        file.seek(offset)
        [riff] = struct.unpack(kind, file.read(struct.calcsize(kind)))
        file.seek(offset)
        file.write(struct.pack(kind, riff + len(chunk)))
    _insert(path, 20 + size if is_long else 12, chunk)


def add_id3(path: Path, tags: Tags) -> None:
    """Insert an ID3v2.4 tag at the beginning of an mp3; libsndfile's own is not in UTF-8."""
    frames = b""
    for name, value in tags.texts().items():
        content = b"\x03" + value.encode()
        frames += _FRAMES[name] + _synchsafe(len(content)) + bytes(2) + content
    if frames:
        _insert(path, 0, b"ID3\x04\x00\x00" + _synchsafe(len(frames)) + frames)


def _synchsafe(number: int) -> bytes:
    """An integer in four bytes of seven bits."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def _insert(path: Path, offset: int, content: bytes) -> None:
    """Insert bytes into a file, in place, whatever its size."""
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        while end > offset:
            first = max(offset, end - _SHIFT)
            file.seek(first)
            block = file.read(end - first)
            file.seek(first + len(content))
            file.write(block)
            end = first
        file.seek(offset)
        file.write(content)
