"""How long a flac file is whose writer could not say: it went to a pipe."""

from __future__ import annotations

import mmap
from pathlib import Path

_BEGIN = 42  # bytes: the mark, the head of the first block of metadata, and that block
_LONGEST_HEADER = 16
_TRIES = 4  # headers; that chance makes one is rare
_SAMPLES = {1: 192} | {n: 576 << (n - 2) for n in range(2, 6)} | {n: 1 << n for n in range(8, 16)}


def begin_with_length(path: Path) -> bytes | None:
    """The first bytes of a flac file, with the length that its last frame tells; None if cut."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        begin = bytearray(data[:_BEGIN])
        if begin[:4] != b"fLaC":
            return None
        samples = _samples(data, int.from_bytes(begin[8:10], "big"))
        if samples is None:
            return None
        begin[21] = begin[21] & 0xF0 | samples >> 32
        begin[22:26] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
        return bytes(begin)


def _samples(data: mmap.mmap, block: int) -> int | None:
    """Where the last frame ends, in samples; ``block`` is how many the frames before it have."""
    place, tries = len(data), _TRIES
    while tries and (place := data.rfind(b"\xff", _BEGIN, place)) >= 0:
        end = _end(data[place : place + _LONGEST_HEADER].ljust(_LONGEST_HEADER, b"\0"), block)
        if end is not None:
            tries -= 1
            # Of a frame with its checksum, the checksum is zero.
            if not _crc(data[place:], 0x8005, 16):
                return end
    return None


def _end(header: bytes, block: int) -> int | None:
    """The sample behind a frame, by its header; None if it is no header."""
    if header[1] & 0xFE != 0xF8 or header[3] & 1:
        return None
    number, place = _number(header)
    if number is None:
        return None
    kind = header[2] >> 4
    samples = _SAMPLES.get(kind, 0)
    if kind in (6, 7):
        samples = int.from_bytes(header[place : place + kind - 5], "big") + 1
        place += kind - 5
    rate = header[2] & 0x0F
    place += {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if not samples or rate == 15 or _crc(header[: place + 1], 0x07, 8):
        return None
    first = number if header[1] & 1 else number * block
    return first + samples


def _number(header: bytes) -> tuple[int | None, int]:
    """The number of a frame or of its first sample, coded as UTF-8, and the place behind it."""
    lead = header[4]
    if lead < 0x80:
        return lead, 5
    more = f"{lead:08b}".index("0") - 1 if lead != 0xFF else 0
    if not 1 <= more <= 6:
        return None, 0
    number = lead & (0x3F >> more)
    for byte in header[5 : 5 + more]:
        number = number << 6 | byte & 0x3F
    return number, 5 + more


def _crc(values: bytes, polynomial: int, bits: int) -> int:
    """A cyclic redundancy check, most significant bit first, beginning at zero."""
    top, mask = 1 << (bits - 1), (1 << bits) - 1
    table = []
    for value in range(256):
        value <<= bits - 8
        for _ in range(8):
            value = value << 1 ^ (polynomial if value & top else 0)
        table.append(value & mask)
    check = 0
    for value in values:
        check = (check << 8 ^ table[check >> (bits - 8) ^ value]) & mask
    return check
