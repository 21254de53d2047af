"""What the first bytes of a sound file are, and how much sound they promise.

libsndfile and FFmpeg read what is left of a file that was cut short and do not say so; the promise
is read here from the container's own header. Only headers are read, whatever the file's size.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mss_shared.audio.file_part import FilePart

# Programs that write to a pipe can't know the length and promise about 2 GiB or 4 GiB.
_UNKNOWN = 0x7FFF0000
_UNKNOWN_LONG = 2**62
_MOST_CHUNKS = 10_000
_MOST_HZ, _MOST_CHANNELS = 2**31 - 1, 1024

_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_ASF = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"
_ASF_FILE = b"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65"
_MATROSKA, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_BOXES = b"ftyp moov mdat free skip wide pnot styp".split()

# Tags of the format chunk, and libsndfile's names of them without a header, by bits.
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_SUBTYPES = {
    (_PCM, 8): "PCM_U8",
    (_PCM, 16): "PCM_16",
    (_PCM, 24): "PCM_24",
    (_PCM, 32): "PCM_32",
    (_FLOAT, 32): "FLOAT",
    (_FLOAT, 64): "DOUBLE",
}


@dataclass(frozen=True)
class RawSound:
    """Where plain samples lie in a wav file, and of what kind they are."""

    start: int
    end: int
    sample_rate: int
    channels: int
    subtype: str
    endian: str


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes:
        kind: WAV, W64, AIFF, AU, CAF, FLAC, OGG, MP3, AVI, MOV, MATROSKA, ASF, VOC; '' for others.
        promised: bytes, of the sound or of the file; None if nothing is promised.
        present: how many of them there are.
        what: which bytes these are.
        mask: which loudspeakers the channels are for; 0 if it is not said.
        raw: where the samples of a wav file are, if they are plain ones.
        unfinished: whether a wav file was never told its length.
        start: where the first byte behind ID3 tags is.
    """

    kind: str = ""
    promised: int | None = None
    present: int = 0
    what: str = "its header"
    mask: int = 0
    raw: RawSound | None = None
    unfinished: bool = False
    start: int = 0

    def check(self, path: Path) -> None:
        """Raise ValueError if less is there than promised."""
        if self.promised is not None and self.present < self.promised:
            raise ValueError(
                f"{path} holds {max(0, self.present)} of the {self.promised} bytes {self.what} "
                f"promises: the file is cut short, replace it"
            )


def read_header(path: Path, start: int = 0) -> Header:
    """Look at a file from byte ``start`` on, by its content alone.

    Raises:
        OSError: if it can't be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = _behind_id3(file, start)
        file.seek(start)
        head = file.read(16).ljust(16, b"\0")
        try:
            return _by_content(file, head, start, size)
        except struct.error:  # the file ends inside its header
            return Header(start=start)


def _by_content(file: BinaryIO, head: bytes, start: int, size: int) -> Header:
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _wav(file, head, size)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _avi(file, size)
    if head == _W64_RIFF:
        return _w64(file, size)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff(file, size)
    if head[:4] in (b".snd", b"dns."):
        order = ">" if head[:4] == b".snd" else "<"
        offset, length = struct.unpack(order + "II", head[4:12])
        return _of_sound("AU", length if length < _UNKNOWN else None, size - offset)
    if head[:4] == b"caff":
        return _caf(file, size)
    if head[:4] == _MATROSKA:
        return _matroska(file, size)
    if head[4:8] in _BOXES:
        return _mov(file, size)
    if head == _ASF:
        return _asf(file, size)
    if head == b"Creative Voice F":
        return _voc(file, size)
    for mark, kind in ((b"fLaC", "FLAC"), (b"OggS", "OGG")):
        if head[:4] == mark:
            return Header(kind, start=start)
    # Frame sync and layer III, of a version, a bit rate and a sample rate that exist.
    mpeg = head[0] == 0xFF and head[1] & 0xE6 == 0xE2 and head[1] & 0x18 != 0x08
    if mpeg and 0 < head[2] >> 4 < 15 and head[2] & 0x0C != 0x0C:
        return Header("MP3", start=start)
    return Header(start=start)


def _behind_id3(file: BinaryIO, start: int) -> int:
    """The first byte that belongs to no ID3v2 tag."""
    while True:
        file.seek(start)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3" or any(byte & 0x80 for byte in head[6:10]):
            return start
        size = 0
        for byte in head[6:10]:
            size = size << 7 | byte
        start += 10 + size + (10 if head[5] & 0x10 else 0)


def _seek(file: BinaryIO, at: int, size: int) -> None:
    """Move to a byte that a header names; struct.error if the file ends before it."""
    if at > size:
        raise struct.error
    file.seek(at)


def _of_sound(kind: str, promised: int | None, present: int, mask: int = 0) -> Header:
    return Header(kind, promised, present, "of sound its header", mask)


def _wav(file: BinaryIO, head: bytes, size: int) -> Header:
    order = ">" if head[:4] == b"RIFX" else "<"
    about, long_length, at = b"", None, 12
    for _ in range(_MOST_CHUNKS):
        _seek(file, at, size)
        name, length = struct.unpack(order + "4sI", file.read(8))
        if name == b"ds64":
            _, long_length = struct.unpack("<QQ", file.read(16))
        elif name == b"fmt ":
            about = file.read(min(length, 40))
        elif name == b"data":
            break
        at += 8 + length + length % 2
    else:
        return Header("WAV")
    at, promised = at + 8, length
    if length == 0xFFFFFFFF and long_length is not None:
        promised = long_length
    unfinished = promised == 0 and size > at and not _chunks_to_end(file, order, at, size)
    known = not unfinished and (promised < _UNKNOWN or promised == long_length)
    end = min(size, at + promised) if known else size
    raw, mask = _raw(about, order, at, end)
    what = "of sound its header"
    return Header("WAV", promised if known else None, size - at, what, mask, raw, unfinished)


def _chunks_to_end(file: BinaryIO, order: str, at: int, size: int) -> bool:
    """Whether whole chunks and nothing else follow."""
    while at + 8 <= size:
        file.seek(at)
        name, length = struct.unpack(order + "4sI", file.read(8))
        if not name.isascii() or not name.decode("latin-1").isprintable():
            return False
        at += 8 + length + length % 2
    return at in (size, size + 1)


def _raw(about: bytes, order: str, start: int, end: int) -> tuple[RawSound | None, int]:
    """Where the samples are and of what kind, if they are plain; the channel mask."""
    if len(about) < 16:
        return None, 0
    tag, channels, rate, _, frame_bytes, bits = struct.unpack(order + "HHIIHH", about[:16])
    mask = 0
    if tag == _EXTENSIBLE and len(about) >= 26:
        mask, tag = struct.unpack(order + "IH", about[20:26])
    subtype = _SUBTYPES.get((tag, bits))
    if subtype is None or not channels or not rate or frame_bytes * 8 != bits * channels:
        return None, mask
    if rate > _MOST_HZ or channels > _MOST_CHANNELS:  # what libsndfile takes
        return None, mask
    end -= (end - start) % frame_bytes
    endian = "BIG" if order == ">" else "LITTLE"
    return RawSound(start, end, rate, channels, subtype, endian), mask


def _w64(file: BinaryIO, size: int) -> Header:
    at, mask = 40, 0
    for _ in range(_MOST_CHUNKS):
        _seek(file, at, size)
        name, length = struct.unpack("<16sQ", file.read(24))
        if name[:4] == b"fmt ":
            _, mask = _raw(file.read(40), "<", 0, 0)
        if name[:4] == b"data":
            promised = length - 24 if 24 <= length < _UNKNOWN_LONG else None
            return _of_sound("W64", promised, size - at - 24, mask)
        at += max(24, length + -length % 8)
    return Header("W64")


def _aiff(file: BinaryIO, size: int) -> Header:
    at = 12
    for _ in range(_MOST_CHUNKS):
        _seek(file, at, size)
        name, length = struct.unpack(">4sI", file.read(8))
        if name == b"SSND":
            return _of_sound("AIFF", length if 0 < length < _UNKNOWN else None, size - at - 8)
        at += 8 + length + length % 2
    return Header("AIFF")


def _caf(file: BinaryIO, size: int) -> Header:
    at = 8
    for _ in range(_MOST_CHUNKS):
        _seek(file, at, size)
        name, length = struct.unpack(">4sq", file.read(12))
        if name == b"data":
            return _of_sound("CAF", length if length >= 0 else None, size - at - 12)
        at += 12 + max(0, length)
    return Header("CAF")


def _avi(file: BinaryIO, size: int) -> Header:
    """Long films are several RIFF chunks."""
    at = 0
    while at + 12 <= size:
        file.seek(at)
        mark, length = struct.unpack("<4sI", file.read(8))
        if mark != b"RIFF" or not 0 < length < _UNKNOWN:
            break
        at += 8 + length
    return Header("AVI", at, size)


def _mov(file: BinaryIO, size: int) -> Header:
    at = 0
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            [length] = struct.unpack(">Q", file.read(8))
        if length < 8 or not kind.decode("latin-1").isalnum():  # 0: to the end of the file
            break
        at += length
    return Header("MOV", at, size)


def _matroska(file: BinaryIO, size: int) -> Header:
    """The size of the one segment that follows the head of the file."""
    file.seek(4)
    length = _vint(file)
    _seek(file, file.tell() + (length or 0), size)
    if file.read(4) != _SEGMENT:
        return Header("MATROSKA")
    length = _vint(file)
    return Header("MATROSKA", None if length is None else file.tell() + length, size)


def _vint(file: BinaryIO) -> int | None:
    """A number of one to eight bytes, as many as its first says; None if all ones: unknown."""
    first = file.read(1)
    if not first or not first[0]:
        raise struct.error
    more = 8 - first[0].bit_length()
    value = int.from_bytes(first + file.read(more), "big") & (1 << 7 * (more + 1)) - 1
    return None if value == (1 << 7 * (more + 1)) - 1 else value


def _asf(file: BinaryIO, size: int) -> Header:
    file.seek(16)
    end, count = struct.unpack("<QI", file.read(12))
    at = 30
    for _ in range(count):
        _seek(file, at, size)
        name, length = struct.unpack("<16sQ", file.read(24))
        if name == _ASF_FILE:
            [promised] = struct.unpack("<16xQ", file.read(24))
            return Header("ASF", promised or None, size)
        at += max(24, length)
        if at >= end:
            break
    return Header("ASF")


def _voc(file: BinaryIO, size: int) -> Header:
    """Blocks up to one of kind 0; that one may be left out."""
    file.seek(20)
    [at] = struct.unpack("<H", file.read(2))
    while at + 4 <= size:
        file.seek(at)
        [head] = struct.unpack("<I", file.read(4))
        if not head & 0xFF:
            break
        at += 4 + (head >> 8)
    return Header("VOC", at, size)


def open_raw(path: Path, raw: RawSound) -> FilePart:
    """The samples of a wav file as a file of nothing else."""
    return FilePart(path, raw.start, raw.end)
