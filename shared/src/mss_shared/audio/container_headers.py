"""Identify containers by content, and read how much data their headers promise.

libsndfile and FFmpeg read a truncated file up to where it ends, without an error, so the promised
size is parsed here. Only headers are read, whatever the file's size.
"""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from mss_shared.audio.chunked_headers import (
    UNKNOWN,
    read_aiff,
    read_au,
    read_caf,
    read_w64,
    read_wav,
)
from mss_shared.audio.file_part import FilePart
from mss_shared.audio.header import Header

_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_ASF = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"
_ASF_FILE = b"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65"
_MATROSKA, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_BOXES = b"ftyp moov mdat free skip wide pnot styp".split()


def read_header(path: Path) -> Header:
    """Read the header of a file, whatever its name.

    Raises:
        OSError: if it can't be read.
    """
    with path.open("rb") as file:
        start = _skip_id3(file)
    with io.BufferedReader(FilePart(path, start)) as file:
        size = file.seek(0, 2)
        file.seek(0)
        head = file.read(16).ljust(16, b"\0")
        try:
            return replace(_parse(file, head, size), start=start)
        except struct.error:  # the file ends inside its header
            return Header(start=start)


def _parse(file: BinaryIO, head: bytes, size: int) -> Header:
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return read_wav(file, head, size)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _avi(file, size)
    if head == _W64_RIFF:
        return read_w64(file, size)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return read_aiff(file, size)
    if head[:4] in (b".snd", b"dns."):
        return read_au(file, head, size)
    if head[:4] == b"caff":
        return read_caf(file, size)
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
            return Header(kind)
    # Frame sync and layer III, with a valid version, bit rate and sample rate.
    mpeg = head[0] == 0xFF and head[1] & 0xE6 == 0xE2 and head[1] & 0x18 != 0x08
    if mpeg and 0 < head[2] >> 4 < 15 and head[2] & 0x0C != 0x0C:
        return Header("MP3")
    return Header()


def _skip_id3(file: BinaryIO) -> int:
    """The offset of the first byte after any ID3v2 tags."""
    start = 0
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


def _avi(file: BinaryIO, size: int) -> Header:
    """Long videos consist of several RIFF chunks."""
    offset = 0
    while offset + 12 <= size:
        file.seek(offset)
        mark, length = struct.unpack("<4sI", file.read(8))
        if mark != b"RIFF" or not 0 < length < UNKNOWN:
            break
        offset += 8 + length
    return Header("AVI", offset, size)


def _mov(file: BinaryIO, size: int) -> Header:
    offset = indexed = 0
    while offset + 8 <= size:
        file.seek(offset)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            [length] = struct.unpack(">Q", file.read(8))
        if length < 8 or not kind.decode("latin-1").isalnum():  # 0: to the end of the file
            break
        offset += length
        if kind == b"sidx":
            indexed = max(indexed, offset + _indexed_bytes(file))
    return Header("MOV", max(offset, indexed), size)


def _indexed_bytes(file: BinaryIO) -> int:
    """How far after its index the last fragment ends, as in files made for streaming."""
    [version] = struct.unpack(">B11x", file.read(12))
    form = ">8xQ2xH" if version else ">4xI2xH"
    first, count = struct.unpack(form, file.read(struct.calcsize(form)))
    sizes = struct.unpack(">" + count * "I8x", file.read(12 * count))
    ends: int = first + sum(size & 0x7FFFFFFF for size in sizes)
    return ends


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
