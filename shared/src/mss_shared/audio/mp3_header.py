"""What the first frame of an mp3 says: how long the file is, and what an encoder put around it.

libsndfile takes the length from this header and stops there. Whether it is right is told by its
count of bytes; without one, or where bytes are left over, all frames have to be counted (by PyAV).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_MPEG_1, _MONO = 3, 3
_COUNT, _BYTES, _PLACES, _QUALITY = 1, 2, 4, 8
_TAG = 24  # bytes that LAME writes behind the header, the last 3 the delay and the padding
_DECODER_DELAY = 529
_LONGEST_FRAME = 1441

# In kbit/s by a frame's number of it, of MPEG 1 and of the lower rates; in Hz of MPEG 1.
_KBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_OF_LOW_RATES = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = (44_100, 48_000, 32_000)
_DIVIDED = {3: 1, 2: 2, 0: 4}  # the rates of MPEG 2 and 2.5


@dataclass(frozen=True)
class Mp3Header:
    """A Xing, Info or VBRI header.

    Attributes:
        frames: how many follow; None if it does not say.
        bytes: of all frames, this one among them; None if it does not say.
        delay: samples that encoder and decoder put before the sound; None if it does not say.
        padding: samples behind the sound that the decoder gives; None if it does not say.
    """

    frames: int | None = None
    bytes: int | None = None
    delay: int | None = None
    padding: int | None = None


@dataclass(frozen=True)
class FrameKind:
    """Sample rate in Hz and number of channels of a frame."""

    sample_rate: int
    channels: int


def kind_of(frame: bytes) -> FrameKind | None:
    """The kind of a whole frame of layer III; None for anything else, and for part of a frame."""
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE6 != 0xE2:
        return None
    version, kbits, rate = frame[1] >> 3 & 3, frame[2] >> 4, frame[2] >> 2 & 3
    if version not in _DIVIDED or kbits == 15 or rate == 3:
        return None
    hz = _RATES[rate] // _DIVIDED[version]
    if version == _MPEG_1:
        size = 144_000 * _KBITS[kbits] // hz
    else:
        size = 72_000 * _KBITS_OF_LOW_RATES[kbits] // hz
    if len(frame) < size + (frame[2] >> 1 & 1 if size else 0):  # 0: the header does not tell
        return None
    return FrameKind(hz, 1 if frame[3] >> 6 == _MONO else 2)


def header_at(path: Path, start: int) -> Mp3Header | None:
    """The header in the frame that begins at a byte of a file."""
    with path.open("rb") as file:
        file.seek(start)
        return header_in(file.read(_LONGEST_FRAME))


def header_before(path: Path, end: int) -> Mp3Header | None:
    """The header in the frame that ends at a byte of a file."""
    with path.open("rb") as file:
        file.seek(max(0, end - _LONGEST_FRAME))
        content = file.read(end - file.tell())
    for at in range(len(content) - 4):
        if content[at] == 0xFF and kind_of(content[at:]) is not None:
            header = header_in(content[at:])
            if header is not None:
                return header
    return None


def header_in(frame: bytes) -> Mp3Header | None:
    """The header in a frame; None if it is a frame of sound."""
    if frame[36:40] == b"VBRI":
        return Mp3Header()
    mono = len(frame) > 3 and frame[3] >> 6 == _MONO
    if len(frame) > 3 and frame[1] >> 3 & 3 == _MPEG_1:
        at = 4 + (17 if mono else 32)
    else:
        at = 4 + (9 if mono else 17)
    at += 0 if len(frame) < 2 or frame[1] & 1 else 2  # a checksum
    if frame[at : at + 4] not in (b"Xing", b"Info"):
        return None
    content = frame[at:]
    flags = int.from_bytes(content[4:8], "big")
    said: dict[int, int] = {}
    place = 8
    for flag, size in ((_COUNT, 4), (_BYTES, 4), (_PLACES, 100), (_QUALITY, 4)):
        if flags & flag:
            said[flag] = int.from_bytes(content[place : place + size], "big")
            place += size
    tag = content[place : place + _TAG]
    delay = padding = None
    if len(tag) == _TAG and tag[0]:
        both = int.from_bytes(tag[-3:], "big")
        delay, padding = (both >> 12) + _DECODER_DELAY, max(0, (both & 0xFFF) - _DECODER_DELAY)
    return Mp3Header(said.get(_COUNT), said.get(_BYTES), delay, padding)


def is_complete(path: Path, start: int) -> bool:
    """Whether a header tells the length of a file whose first frame is at ``start``, rightly.

    Raises:
        ValueError: if fewer bytes are there than it promises.
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
    """The size of the ID3v1, Lyrics3 and APE tags that a file ends with."""
    size = 0
    if end[-128:-125] == b"TAG":
        size, end = 128, end[:-128]
    if end[-9:] == b"LYRICS200" and end[-15:-9].isdigit():
        size += int(end[-15:-9]) + 15
    elif end[-32:-24] == b"APETAGEX":
        footer = end[-32:]
        size += int.from_bytes(footer[12:16], "little") + (32 if footer[23] & 0x80 else 0)
    return size
