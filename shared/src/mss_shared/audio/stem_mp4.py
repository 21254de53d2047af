"""The box by which DJ software tells a stem file from any other mp4: ``moov/udta/stem``."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

# As many as the format has, behind the mixture.
STEMS = 4

_HEADER = 8  # bytes of length and kind

_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # of Okabe and Ito, told apart by all

# Both are off, at the settings that other writers of such files give.
_MASTERING = {
    "compressor": {
        "enabled": False,
        "input_gain": 0.5,
        "output_gain": 0.5,
        "threshold": 0,
        "ratio": 3,
        "attack": 0.003,
        "release": 0.3,
        "dry_wet": 50,
        "hp_cutoff": 300,
    },
    "limiter": {"enabled": False, "threshold": 0, "ceiling": -0.35, "release": 0.05},
}


class _Box(NamedTuple):
    """Where a box begins and where it ends."""

    start: int
    end: int


def add_stem_box(path: Path, stems: Sequence[str]) -> None:
    """Name the streams behind the first in an mp4 whose ``moov`` is its last box.

    Args:
        path: the file, changed in place by appending to it.
        stems: the names of its second to fifth stream.

    Raises:
        ValueError: if there are not four, or the file is laid out otherwise.
    """
    if len(stems) != STEMS:
        raise ValueError(f"{len(stems)} stems: a stem file has {STEMS}")
    colors = zip(stems, _COLORS, strict=True)
    content = {
        "version": 1,
        "mastering_dsp": _MASTERING,
        "stems": [{"name": name, "color": color} for name, color in colors],
    }
    box = _packed(b"stem", json.dumps(content).encode())
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        moov = _find(file, b"moov", 0, end)
        if moov is None or moov.end != end:
            raise ValueError(f"{path} does not end with its moov box: write it without faststart")
        udta = _find(file, b"udta", moov.start + _HEADER, moov.end)
        grown = [moov]
        if udta is None:
            box = _packed(b"udta", box)
        elif udta.end == end:
            grown.append(udta)
        else:
            raise ValueError(f"{path} does not end with its udta box")
        file.seek(0, 2)
        file.write(box)
        for each in grown:
            file.seek(each.start)
            file.write(struct.pack(">I", each.end - each.start + len(box)))


def _packed(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", _HEADER + len(content), kind) + content


def _find(file: BinaryIO, kind: bytes, start: int, end: int) -> _Box | None:
    """The first box of a kind that begins between two positions, at their level."""
    while start < end:
        file.seek(start)
        size, found = struct.unpack(">I4s", file.read(_HEADER))
        if size == 1:  # it follows, in 64 bits: sound alone is that long
            [size] = struct.unpack(">Q", file.read(8))
        elif found == kind:
            return _Box(start, start + size)
        if size < _HEADER:
            return None
        start += size
    return None
