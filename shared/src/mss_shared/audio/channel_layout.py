"""Channel layouts as the channel mask of WAVE_FORMAT_EXTENSIBLE; 0 if unknown."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import Path

_NAMES = "FL FR FC LFE BL BR FLC FRC BC SL SR TC TFL TFC TFR TBL TBC TBR".split()

# Channel masks that the FLAC specification assigns to each channel count.
_FLAC = {3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}

# The comment of a FLAC file that gives another one, as flac and FFmpeg write it.
_FLAC_MASK = re.compile(rb"WAVEFORMATEXTENSIBLE_CHANNEL_MASK=0x([0-9a-f]{1,8})(?![0-9a-f])", re.I)
_COMMENTS, _MOST_BLOCKS = 4, 1000

# The channel order of Vorbis and Opus, by channel count.
_VORBIS = {
    3: "FL FC FR",
    4: "FL FR BL BR",
    5: "FL FC FR BL BR",
    6: "FL FC FR BL BR LFE",
    7: "FL FC FR SL SR BC LFE",
    8: "FL FC FR SL SR BL BR LFE",
}

_HEADER_BYTES = 4096  # enough for the chunks before the samples
_MASK_OFFSET = 20  # from the start of the format chunk's data
_EXTENSIBLE = 0xFFFE

Order = tuple[int, ...] | None


def arranged(names: Sequence[str]) -> tuple[Order, int]:
    """How to reorder channels with FFmpeg's names into wav order.

    Returns:
        for each output channel, its index in the file, or None if the order is wav's already;
        and the channel mask, 0 if a name is repeated or has no bit in the mask.
    """
    bits = [_NAMES.index(name) for name in names if name in _NAMES]
    if len({*bits}) < len(names):
        return None, 0
    order = tuple(sorted(range(len(bits)), key=bits.__getitem__))
    return None if bits == sorted(bits) else order, sum(1 << bit for bit in bits)


def arranged_flac(path: Path, start: int, channels: int) -> tuple[Order, int]:
    """Order and mask of a FLAC file, which is in wav order already.

    Args:
        path: the file.
        start: offset of its first byte after ID3 tags.
        channels: how many; their number tells the mask, unless a comment does.
    """
    with path.open("rb") as file:
        file.seek(start + 4)
        for _ in range(_MOST_BLOCKS):
            head = file.read(4)
            length = int.from_bytes(head[1:], "big")
            if len(head) == 4 and head[0] & 0x7F == _COMMENTS:
                found = _FLAC_MASK.search(file.read(length))
                mask = int(found[1], 16) if found else 0
                if mask.bit_count() == channels:
                    return None, mask
            if len(head) < 4 or head[0] & 0x80:  # the last block
                break
            if head[0] != _COMMENTS:
                file.seek(length, 1)
    return None, _FLAC.get(channels, 0)


def arranged_vorbis(channels: int) -> tuple[Order, int]:
    """Order and mask of a Vorbis or Opus stream."""
    return arranged(_VORBIS[channels].split()) if channels in _VORBIS else (None, 0)


def set_mask(path: Path, mask: int) -> None:
    """Set the channel mask in a closed wav file; does nothing if its header has no mask field."""
    with path.open("r+b") as file:
        header = file.read(_HEADER_BYTES)
        if header[:4] not in (b"RIFF", b"RF64") or header[8:12] != b"WAVE":
            return
        offset = header.find(b"fmt ") + 8
        [tag] = struct.unpack_from("<H", header, offset)
        if tag == _EXTENSIBLE:
            file.seek(offset + _MASK_OFFSET)
            file.write(struct.pack("<I", mask))
