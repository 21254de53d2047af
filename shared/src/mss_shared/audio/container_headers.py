"""Identify containers by content, and read how much data their headers promise.

libsndfile and FFmpeg read a truncated file up to where it ends, without an error, so the promised
size is parsed here. Only headers are read, whatever the file's size.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mss_shared.audio.file_part import FilePart

# Programs that write to a pipe don't know the length, and put roughly 2 GiB or 4 GiB.
_UNKNOWN = 0x7FFF0000
_UNKNOWN_LONG = 2**62
_MOST_CHUNKS = 10_000
_MOST_HZ, _MOST_CHANNELS = 2**31 - 1, 1024

_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_ASF = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"
_ASF_FILE = b"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65"
_MATROSKA, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_BOXES = b"ftyp moov mdat free skip wide pnot styp".split()

# Format tag and bits per sample, and libsndfile's name for such samples in a raw file.
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
    """The byte range and format of uncompressed samples in a wav file."""

    start: int
    end: int
    sample_rate: int
    channels: int
    subtype: str
    endian: str


@dataclass(frozen=True)
class Header:
    """What a container's header states.

    Attributes:
        kind: WAV, W64, AIFF, AU, CAF, FLAC, OGG, MP3, AVI, MOV, MATROSKA, ASF, VOC; '' for others.
        promised: size in bytes, of the sound or of the file; None if the header has none.
        present: how many of those bytes the file has.
        what: which size this is, for error messages.
        mask: the channel mask; 0 if unknown.
        raw: where the samples of a wav file are, if uncompressed.
        unfinished: whether the length in a wav header was never filled in.
        start: offset of the first byte after ID3 tags.
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
        """Raise ValueError if the file has fewer bytes than its header promises."""
        if self.promised is not None and self.present < self.promised:
            raise ValueError(
                f"{path} holds {max(0, self.present)} of the {self.promised} bytes {self.what} "
                f"promises: the file is cut short, replace it"
            )


def read_header(path: Path, start: int = 0) -> Header:
    """Read the header at byte ``start``, whatever the file name.

    Raises:
        OSError: if it can't be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = _skip_id3(file, start)
        file.seek(start)
        head = file.read(16).ljust(16, b"\0")
        try:
            return _parse(file, head, start, size)
        except struct.error:  # the file ends inside its header
            return Header(start=start)


def _parse(file: BinaryIO, head: bytes, start: int, size: int) -> Header:
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
        return _sound_header("AU", length if length < _UNKNOWN else None, size - offset)
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
    # Frame sync and layer III, with a valid version, bit rate and sample rate.
    mpeg = head[0] == 0xFF and head[1] & 0xE6 == 0xE2 and head[1] & 0x18 != 0x08
    if mpeg and 0 < head[2] >> 4 < 15 and head[2] & 0x0C != 0x0C:
        return Header("MP3", start=start)
    return Header(start=start)


def _skip_id3(file: BinaryIO, start: int) -> int:
    """The offset of the first byte after any ID3v2 tags."""
    while True:
        file.seek(start)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3" or any(byte & 0x80 for byte in head[6:10]):
            return start
        size = 0
        for byte in head[6:10]:
            size = size << 7 | byte
        start += 10 + size + (10 if head[5] & 0x10 else 0)


def _seek(file: BinaryIO, offset: int, size: int) -> None:
    """Seek to an offset taken from a header; struct.error if it is past the end of the file."""
    if offset > size:
        raise struct.error
    file.seek(offset)


def _sound_header(kind: str, promised: int | None, present: int, mask: int = 0) -> Header:
    return Header(kind, promised, present, "of sound its header", mask)


def _wav(file: BinaryIO, head: bytes, size: int) -> Header:
    order = ">" if head[:4] == b"RIFX" else "<"
    format_chunk, long_length, offset = b"", None, 12
    for _ in range(_MOST_CHUNKS):
        _seek(file, offset, size)
        name, length = struct.unpack(order + "4sI", file.read(8))
        if name == b"ds64":
            _, long_length = struct.unpack("<QQ", file.read(16))
        elif name == b"fmt ":
            format_chunk = file.read(min(length, 40))
        elif name == b"data":
            break
        offset += 8 + length + length % 2
    else:
        return Header("WAV")
    offset, promised = offset + 8, length
    if length == 0xFFFFFFFF and long_length is not None:
        promised = long_length
    unfinished = promised == 0 and size > offset and not _chunks_to_end(file, order, offset, size)
    known = not unfinished and (promised < _UNKNOWN or promised == long_length)
    end = min(size, offset + promised) if known else size
    raw, mask = _raw(format_chunk, order, offset, end)
    what = "of sound its header"
    return Header("WAV", promised if known else None, size - offset, what, mask, raw, unfinished)


def _chunks_to_end(file: BinaryIO, order: str, offset: int, size: int) -> bool:
    """Whether the rest of the file is a sequence of complete chunks."""
    while offset + 8 <= size:
        file.seek(offset)
        name, length = struct.unpack(order + "4sI", file.read(8))
        if not name.isascii() or not name.decode("latin-1").isprintable():
            return False
        offset += 8 + length + length % 2
    return offset in (size, size + 1)


def _raw(format_chunk: bytes, order: str, start: int, end: int) -> tuple[RawSound | None, int]:
    """The samples, None unless uncompressed, and the channel mask."""
    if len(format_chunk) < 16:
        return None, 0
    tag, channels, rate, _, frame_bytes, bits = struct.unpack(order + "HHIIHH", format_chunk[:16])
    mask = 0
    if tag == _EXTENSIBLE and len(format_chunk) >= 26:
        mask, tag = struct.unpack(order + "IH", format_chunk[20:26])
    subtype = _SUBTYPES.get((tag, bits))
    if subtype is None or not channels or not rate or frame_bytes * 8 != bits * channels:
        return None, mask
    if rate > _MOST_HZ or channels > _MOST_CHANNELS:  # libsndfile's limits
        return None, mask
    end -= (end - start) % frame_bytes
    endian = "BIG" if order == ">" else "LITTLE"
    return RawSound(start, end, rate, channels, subtype, endian), mask


def _w64(file: BinaryIO, size: int) -> Header:
    offset, mask = 40, 0
    for _ in range(_MOST_CHUNKS):
        _seek(file, offset, size)
        name, length = struct.unpack("<16sQ", file.read(24))
        if name[:4] == b"fmt ":
            _, mask = _raw(file.read(40), "<", 0, 0)
        if name[:4] == b"data":
            promised = length - 24 if 24 <= length < _UNKNOWN_LONG else None
            return _sound_header("W64", promised, size - offset - 24, mask)
        offset += max(24, length + -length % 8)
    return Header("W64")


def _aiff(file: BinaryIO, size: int) -> Header:
    offset = 12
    for _ in range(_MOST_CHUNKS):
        _seek(file, offset, size)
        name, length = struct.unpack(">4sI", file.read(8))
        if name == b"SSND":
            return _sound_header(
                "AIFF", length if 0 < length < _UNKNOWN else None, size - offset - 8
            )
        offset += 8 + length + length % 2
    return Header("AIFF")


def _caf(file: BinaryIO, size: int) -> Header:
    offset = 8
    for _ in range(_MOST_CHUNKS):
        _seek(file, offset, size)
        name, length = struct.unpack(">4sq", file.read(12))
        if name == b"data":
            return _sound_header("CAF", length if length >= 0 else None, size - offset - 12)
        offset += 12 + max(0, length)
    return Header("CAF")


def _avi(file: BinaryIO, size: int) -> Header:
    """Long videos consist of several RIFF chunks."""
    offset = 0
    while offset + 12 <= size:
        file.seek(offset)
        mark, length = struct.unpack("<4sI", file.read(8))
        if mark != b"RIFF" or not 0 < length < _UNKNOWN:
            break
        offset += 8 + length
    return Header("AVI", offset, size)


def _mov(file: BinaryIO, size: int) -> Header:
    offset = 0
    while offset + 8 <= size:
        file.seek(offset)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            [length] = struct.unpack(">Q", file.read(8))
        if length < 8 or not kind.decode("latin-1").isalnum():  # 0: to the end of the file
            break
        offset += length
    return Header("MOV", offset, size)


def _matroska(file: BinaryIO, size: int) -> Header:
    """The size of the single segment after the EBML header."""
    file.seek(4)
    length = _vint(file)
    _seek(file, file.tell() + (length or 0), size)
    if file.read(4) != _SEGMENT:
        return Header("MATROSKA")
    length = _vint(file)
    return Header("MATROSKA", None if length is None else file.tell() + length, size)


def _vint(file: BinaryIO) -> int | None:
    """An EBML integer of variable length; None if all its bits are set, which means unknown."""
    first = file.read(1)
    if not first or not first[0]:
        raise struct.error
    more = 8 - first[0].bit_length()
    value = int.from_bytes(first + file.read(more), "big") & (1 << 7 * (more + 1)) - 1
    return None if value == (1 << 7 * (more + 1)) - 1 else value


def _asf(file: BinaryIO, size: int) -> Header:
    file.seek(16)
    end, count = struct.unpack("<QI", file.read(12))
    offset = 30
    for _ in range(count):
        _seek(file, offset, size)
        name, length = struct.unpack("<16sQ", file.read(24))
        if name == _ASF_FILE:
            [promised] = struct.unpack("<16xQ", file.read(24))
            return Header("ASF", promised or None, size)
        offset += max(24, length)
        if offset >= end:
            break
    return Header("ASF")


def _voc(file: BinaryIO, size: int) -> Header:
    """Blocks up to a terminator of type 0, which may be missing."""
    file.seek(20)
    [offset] = struct.unpack("<H", file.read(2))
    while offset + 4 <= size:
        file.seek(offset)
        [head] = struct.unpack("<I", file.read(4))
        if not head & 0xFF:
            break
        offset += 4 + (head >> 8)
    return Header("VOC", offset, size)


def open_raw(path: Path, raw: RawSound) -> FilePart:
    """Open the samples of a wav file as a headerless file."""
    return FilePart(path, raw.start, raw.end)
