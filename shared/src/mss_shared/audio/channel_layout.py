"""Which loudspeaker a channel is for, as the bits of WAVE_FORMAT_EXTENSIBLE; 0 if unknown."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from pathlib import Path

import soundfile

_SAID = re.compile(r"Channel Mask\s*: 0x([0-9A-F]+)")
# What a flac file of so many channels holds, by its specification.
_FLAC = {3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}
_NAMES = "FL FR FC LFE BL BR FLC FRC BC SL SR TC TFL TFC TFR TBL TBC TBR".split()

_HEADER_BYTES = 4096  # the chunks before the samples lie within
_MASK_AT = 20  # bytes behind the head of the format chunk
_EXTENSIBLE = 0xFFFE


def mask_of_file(path: Path) -> int:
    """What a file that libsndfile reads says of its channels."""
    with soundfile.SoundFile(path) as file:
        if file.format == "FLAC":
            return _FLAC.get(file.channels, 0)
        said = _SAID.search(file.extra_info)
    return int(said[1], 16) if said else 0


def mask_of_names(names: Iterable[str]) -> int:
    """The same of channels with FFmpeg's names, which are in the order of the bits."""
    bits = [_NAMES.index(name) for name in names if name in _NAMES]
    return sum(1 << bit for bit in bits) if bits == sorted(set(bits)) else 0


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
