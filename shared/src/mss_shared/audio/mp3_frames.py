"""How long an mp3 is: its frames, counted, and the same file with a header that says so.

libsndfile takes the length from a Xing header. Without one it guesses from the first frame's bit
rate and stops there, and of files put end to end it reads the first alone.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

# By version bits: 2.5, none, 2, 1.
_RATES = ((11_025, 12_000, 8_000), (), (22_050, 24_000, 16_000), (44_100, 48_000, 32_000))
_LAYER_3, _MPEG_1, _MONO = 1, 3, 3
_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_OF_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SAMPLES, _DECODER_DELAY = 1152, 529
_ENOUGH = 9  # the number of a bit rate whose frames have room for every header
_CERTAIN = 3  # frames of one kind in a row are no chance

_TAG = 24  # bytes that LAME writes behind a Xing header, the last 3 the delay and the padding
_COUNT, _BYTES, _PLACES, _QUALITY = 1, 2, 4, 8


@dataclass(frozen=True)
class Frames:
    """The sound in an mp3.

    Attributes:
        count: whole frames, without those that hold a Xing, Info or VBRI header.
        promised: how many the first Xing or Info header says there are; None if it does not.
        runs: first and last byte + 1 of frames that follow each other without a gap.
        head: the first four bytes of the first of them.
        tag: what LAME wrote about the beginning of the first file in it and the end of the last.
    """

    count: int
    promised: int | None
    runs: tuple[tuple[int, int], ...]
    head: bytes
    tag: bytes


def frames_of(path: Path) -> Frames | None:
    """Count the frames of MPEG layer III; None if the file has none of a known length.

    Raises:
        ValueError: if frames of another sample rate follow.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        scan = _Scan(data)
        if scan.changes():
            raise ValueError(
                f"{path} changes its sample rate after {scan.count} frames: convert it to wav"
            )
        return scan.frames()


class _Scan:
    """One walk over the bytes of a file, from frame to frame."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.end = len(data)
        self.runs: list[tuple[int, int]] = []
        self.kind: tuple[int, int] | None = None
        self.count = 0
        self.promised: int | None = None
        self.tag = b""
        self.seen_header = False

    def changes(self) -> bool:
        """Walk to the end; whether frames of another kind follow those of the first."""
        place = 0
        while place + 4 <= self.end:
            kind, size = _kind(self.data[place : place + 4])
            if size and kind == self.kind and (self._follows(place) or self._certain(place)):
                if place + size > self.end:
                    return False
                self._take(place, size)
                place += size
            elif size and self._certain(place, alone=not self.kind):
                if self.kind:
                    return True
                self.kind = kind
            else:
                place = self._behind_tag(place) or self._next_sync(place + 1)
        return False

    def frames(self) -> Frames | None:
        """What was found."""
        if not self.runs:
            return None
        head = self.data[self.runs[0][0] : self.runs[0][0] + 4]
        return Frames(self.count, self.promised, tuple(self.runs), head, self.tag)

    def _follows(self, place: int) -> bool:
        return bool(self.runs) and self.runs[-1][1] == place

    def _certain(self, place: int, alone: bool = True) -> bool:
        """Whether a few frames of one kind begin here, or if ``alone`` one before end or tag."""
        first, size = _kind(self.data[place : place + 4])
        for _ in range(_CERTAIN - 1):
            place += size
            kind, size = _kind(self.data[place : place + 4])
            if not size or kind != first:
                return alone and (place == self.end or bool(self._behind_tag(place)))
        return True

    def _take(self, place: int, size: int) -> None:
        frame = self.data[place : place + min(size, 40)]
        header = _side_bytes(frame)
        if frame[36:40] == b"VBRI":
            return
        if frame[header : header + 4] in (b"Xing", b"Info") and not any(frame[4:header]):
            self._take_header(self.data[place + header : place + size])
            return
        self.count += 1
        if self._follows(place):
            self.runs[-1] = (self.runs[-1][0], place + size)
        else:
            self.runs.append((place, place + size))

    def _take_header(self, content: bytes) -> None:
        flags = int.from_bytes(content[4:8], "big")
        tag_at = 8 + sum(
            size
            for flag, size in ((_COUNT, 4), (_BYTES, 4), (_PLACES, 100), (_QUALITY, 4))
            if flags & flag
        )
        tag = content[tag_at : tag_at + _TAG]
        if not self.seen_header and not self.count:
            if flags & _COUNT:
                self.promised = int.from_bytes(content[8:12], "big")
            self.tag = tag if len(tag) == _TAG and tag[0] else b""
        elif self.tag and len(tag) == _TAG:
            self.tag = _with_padding(self.tag, tag)
        self.seen_header = True

    def _behind_tag(self, place: int) -> int:
        """Where the ID3 or APE tag that begins here ends; 0 if none does."""
        data = self.data
        if data[place : place + 3] == b"ID3" and place + 10 <= self.end:
            size = 0
            for byte in data[place + 6 : place + 10]:
                size = size << 7 | byte & 0x7F
            return place + 10 + size + (10 if data[place + 5] & 0x10 else 0)
        if data[place : place + 8] == b"APETAGEX" and place + 32 <= self.end:
            [size] = struct.unpack("<I", data[place + 12 : place + 16])
            return place + 32 + (size if data[place + 23] & 0x20 else 0)
        if data[place : place + 3] == b"TAG" and place + 128 == self.end:
            return place + 128
        return 0

    def _next_sync(self, place: int) -> int:
        """The next byte at which a frame or a tag may begin."""
        found = [self.data.find(mark, place) for mark in (b"\xff", b"ID3", b"APETAGEX")]
        return min((each for each in found if each >= 0), default=self.end)


def xing(frames: Frames) -> bytes:
    """A frame that holds no sound and says how many others there are."""
    second, third = frames.head[1] | 1, _ENOUGH << 4 | frames.head[2] & 0x0C
    frame = bytearray(_SIZES[second << 8 | third])
    frame[:4] = bytes((0xFF, second, third, frames.head[3]))
    count, tag, silence = frames.count, frames.tag, b""
    if not tag:
        # The decoder takes its own delay from the beginning of all that it knows the length of:
        # it is given a silent frame to take.
        samples = _SAMPLES if second >> 3 & 3 == _MPEG_1 else _SAMPLES // 2
        count, silence = count + 1, bytes(frame)
        delay = (samples - _DECODER_DELAY) << 12 | _DECODER_DELAY
        tag = b"LAME".ljust(_TAG - 3, b"\0") + delay.to_bytes(3, "big")
    content = b"Xing" + struct.pack(">II", _COUNT, count) + tag
    start = _side_bytes(frames.head)
    frame[start : start + len(content)] = content
    return bytes(frame) + silence


def _with_padding(tag: bytes, other: bytes) -> bytes:
    """A tag with the delay of one and the padding, of 12 bits as well, of another."""
    middle = tag[-2] & 0xF0 | other[-2] & 0x0F
    return tag[:-2] + bytes((middle, other[-1]))


def _side_bytes(head: bytes) -> int:
    """Where in a frame the header of a whole file stands: behind the side information."""
    mono = head[3] >> 6 == _MONO
    if head[1] >> 3 & 3 == _MPEG_1:
        return 4 + (17 if mono else 32)
    return 4 + (9 if mono else 17)


def _kind(head: bytes) -> tuple[tuple[int, int], int]:
    """Version and rate of the frame with these first four bytes, and its bytes; 0 if none."""
    if len(head) < 4 or head[0] != 0xFF:
        return (0, 0), 0
    second, third = head[1] | 1, head[2]
    return (second, third & 0x0C), _SIZES.get(second << 8 | third & 0xFE, 0)


def _sizes() -> dict[int, int]:
    """Bytes of a frame, padding included, by the second and third byte of its header."""
    sizes = {}
    for version, rates in enumerate(_RATES):
        for rate_number, rate in enumerate(rates):
            for number, kbits in enumerate(_KBITS if version == _MPEG_1 else _KBITS_OF_2, 1):
                second = 0xE0 | version << 3 | _LAYER_3 << 1 | 1
                third = number << 4 | rate_number << 2
                slots = (144_000 if version == _MPEG_1 else 72_000) * kbits // rate
                sizes[second << 8 | third] = slots
                sizes[second << 8 | third | 2] = slots + 1
    return sizes


_SIZES = _sizes()
