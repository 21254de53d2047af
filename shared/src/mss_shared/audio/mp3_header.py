"""Parse the Xing, Info or VBRI header of an mp3: length, encoder delay and padding.

libsndfile trusts the length in this header and stops there. The header's byte count tells whether
the length is right; without one, or with bytes left over, PyAV has to decode all frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_MPEG_1, _MONO = 3, 3
_FRAMES, _BYTES, _TOC, _QUALITY = 1, 2, 4, 8
_TAG = 24  # bytes of the LAME tag after the header up to delay and padding, its last 3
_DECODER_DELAY = 529
_LONGEST_FRAME = 1441

# Bit rates in kbit/s by index, of MPEG 1 and of MPEG 2 and 2.5; sample rates of MPEG 1 in Hz.
_KBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_OF_LOW_RATES = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = (44_100, 48_000, 32_000)
_RATE_DIVISORS = {3: 1, 2: 2, 0: 4}  # by version bits: MPEG 1, 2 and 2.5


@dataclass(frozen=True)
class Mp3Header:
    """A Xing, Info or VBRI header.

    Attributes:
        frames: how many follow.
        bytes: of all frames, including this one.
        delay: decoded samples before the sound, from encoder and decoder.
        padding: decoded samples after the sound.

    A field that the header lacks is None.
    """

    frames: int | None = None
    bytes: int | None = None
    delay: int | None = None
    padding: int | None = None


@dataclass(frozen=True)
class FrameKind:
    """Sample rate in Hz and channel count of a frame."""

    sample_rate: int
    channels: int


def kind_of(frame: bytes) -> FrameKind | None:
    """Rate and channels of a complete layer III frame; None for anything else."""
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE6 != 0xE2:
        return None
    version, kbits, rate = frame[1] >> 3 & 3, frame[2] >> 4, frame[2] >> 2 & 3
    if version not in _RATE_DIVISORS or kbits == 15 or rate == 3:
        return None
    hz = _RATES[rate] // _RATE_DIVISORS[version]
    if version == _MPEG_1:
        size = 144_000 * _KBITS[kbits] // hz
    else:
        size = 72_000 * _KBITS_OF_LOW_RATES[kbits] // hz
    if len(frame) < size + (frame[2] >> 1 & 1 if size else 0):  # 0: free format
        return None
    return FrameKind(hz, 1 if frame[3] >> 6 == _MONO else 2)


def header_at(path: Path, start: int) -> Mp3Header | None:
    """The header in the frame that begins at byte ``start`` of a file."""
    with path.open("rb") as file:
        file.seek(start)
        return header_in(file.read(_LONGEST_FRAME))


def header_before(path: Path, end: int) -> Mp3Header | None:
    """The header in the frame that ends at byte ``end`` of a file."""
    with path.open("rb") as file:
        file.seek(max(0, end - _LONGEST_FRAME))
        content = file.read(end - file.tell())
    for offset in range(len(content) - 4):
        if content[offset] == 0xFF and kind_of(content[offset:]) is not None:
            header = header_in(content[offset:])
            if header is not None:
                return header
    return None


def header_in(frame: bytes) -> Mp3Header | None:
    """The header in a frame; None if the frame is sound."""
    if frame[36:40] == b"VBRI":
        return Mp3Header()
    mono = len(frame) > 3 and frame[3] >> 6 == _MONO
    if len(frame) > 3 and frame[1] >> 3 & 3 == _MPEG_1:
        start = 4 + (17 if mono else 32)
    else:
        start = 4 + (9 if mono else 17)
    start += 0 if len(frame) < 2 or frame[1] & 1 else 2  # the CRC
    if frame[start : start + 4] not in (b"Xing", b"Info"):
        return None
    content = frame[start:]
    flags = int.from_bytes(content[4:8], "big")
    fields: dict[int, int] = {}
    offset = 8
    for flag, size in ((_FRAMES, 4), (_BYTES, 4), (_TOC, 100), (_QUALITY, 4)):
        if flags & flag:
            fields[flag] = int.from_bytes(content[offset : offset + size], "big")
            offset += size
    tag = content[offset : offset + _TAG]
    delay = padding = None
    if len(tag) == _TAG and tag[0]:
        both = int.from_bytes(tag[-3:], "big")
        delay, padding = (both >> 12) + _DECODER_DELAY, max(0, (both & 0xFFF) - _DECODER_DELAY)
    return Mp3Header(fields.get(_FRAMES), fields.get(_BYTES), delay, padding)


def is_complete(path: Path, start: int) -> bool:
    """Whether the header in the frame at ``start`` gives the file's length correctly.

    Raises:
        ValueError: if the file has fewer bytes than the header promises.
    """
    header = header_at(path, start)
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(start, size - 128 - 32 - 15))
        end = file.read()
    if header is None or not header.frames or not header.bytes:
        return False
    present = size - start
    if present + _LONGEST_FRAME < header.bytes:
        raise ValueError(
            f"{path} holds {present} of the {header.bytes} bytes of sound its header promises: "
            f"the file is cut short, replace it"
        )
    return present - _tag_bytes(end) <= header.bytes + _LONGEST_FRAME


def _tag_bytes(end: bytes) -> int:
    """The size of the ID3v1, Lyrics3 and APE tags at the end of a file."""
    size = 0
    if end[-128:-125] == b"TAG":
        size, end = 128, end[:-128]
    if end[-9:] == b"LYRICS200" and end[-15:-9].isdigit():
        size += int(end[-15:-9]) + 15
    elif end[-32:-24] == b"APETAGEX":
        footer = end[-32:]
        size += int.from_bytes(footer[12:16], "little") + (32 if footer[23] & 0x80 else 0)
    return size
