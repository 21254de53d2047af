"""Which loudspeaker a channel is for, as the bits of WAVE_FORMAT_EXTENSIBLE; 0 if unknown."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

_NAMES = "FL FR FC LFE BL BR FLC FRC BC SL SR TC TFL TFC TFR TBL TBC TBR".split()

# What a flac file of so many channels holds, by its specification.
_FLAC = {3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}

# The channels of Vorbis and Opus, in their own order.
_VORBIS = {
    3: "FL FC FR",
    4: "FL FR BL BR",
    5: "FL FC FR BL BR",
    6: "FL FC FR BL BR LFE",
    7: "FL FC FR SL SR BC LFE",
    8: "FL FC FR SL SR BL BR LFE",
}

_HEADER_BYTES = 4096  # the chunks before the samples lie within
_MASK_AT = 20  # bytes behind the head of the format chunk
_EXTENSIBLE = 0xFFFE

Order = tuple[int, ...] | None


def arranged(names: Sequence[str]) -> tuple[Order, int]:
    """How to bring channels with FFmpeg's names into the order of a wav file.

    Returns:
        For each channel of the result, which one of the file it is, None if they stay as they are;
        and their mask, 0 if a name is none of a wav file's or stands there twice.
    """
    bits = [_NAMES.index(name) for name in names if name in _NAMES]
    if len({*bits}) < len(names):
        return None, 0
    order = tuple(sorted(range(len(bits)), key=bits.__getitem__))
    return None if bits == sorted(bits) else order, sum(1 << bit for bit in bits)


def arranged_flac(channels: int) -> tuple[Order, int]:
    """The same of a flac file, which is in order."""
    return None, _FLAC.get(channels, 0)


def arranged_vorbis(channels: int) -> tuple[Order, int]:
    """The same of a Vorbis stream."""
    return arranged(_VORBIS[channels].split()) if channels in _VORBIS else (None, 0)


def set_mask(path: Path, mask: int) -> None:
    """Write it into a closed wav file; one whose header has no room for it stays as it is."""
    with path.open("r+b") as file:
        header = file.read(_HEADER_BYTES)
        if header[:4] not in (b"RIFF", b"RF64") or header[8:12] != b"WAVE":
            return
        place = header.find(b"fmt ") + 8
        [kind] = struct.unpack_from("<H", header, place)
        if kind == _EXTENSIBLE:
            file.seek(place + _MASK_AT)
            file.write(struct.pack("<I", mask))
