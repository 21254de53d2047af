"""Add the box that marks an mp4 as a stem file for DJ software: ``moov/udta/stem``."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

# The format has exactly this many, after the mixture.
STEMS = 4

_HEADER = 8  # bytes of size and type

_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # Okabe and Ito's, safe for the colour-blind

# Both are off, with the settings that other programs write.
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
    """The byte range of a box."""

    start: int
    end: int


def add_stem_box(path: Path, stems: Sequence[str]) -> None:
    """Name the stems in an mp4 whose last box is ``moov``.

    Args:
        path: the file; the box is appended in place.
        stems: the names of its second to fifth streams.

    Raises:
        ValueError: if there are not four, or another box follows ``moov`` or ``udta``.
    """
    if len(stems) != STEMS:
        raise ValueError(f"{len(stems)} stems: a stem file has {STEMS}")
    colors = zip(stems, _COLORS, strict=True)
    content = {
        "version": 1,
        "mastering_dsp": _MASTERING,
        "stems": [{"name": name, "color": color} for name, color in colors],
    }
    box = _make_box(b"stem", json.dumps(content).encode())
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        moov = _find(file, b"moov", 0, end)
        if moov is None or moov.end != end:
            raise ValueError(f"{path} does not end with its moov box: write it without faststart")
        udta = _find(file, b"udta", moov.start + _HEADER, moov.end)
        parents = [moov]
        if udta is None:
            box = _make_box(b"udta", box)
        elif udta.end == end:
            parents.append(udta)
        else:
            raise ValueError(f"{path} does not end with its udta box")
        file.seek(0, 2)
        file.write(box)
        for parent in parents:
            file.seek(parent.start)
            file.write(struct.pack(">I", parent.end - parent.start + len(box)))


def _make_box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", _HEADER + len(content), kind) + content


def _find(file: BinaryIO, kind: bytes, start: int, end: int) -> _Box | None:
    """The first box of a type among the sibling boxes from ``start`` to ``end``."""
    while start < end:
        file.seek(start)
        size, name = struct.unpack(">I4s", file.read(_HEADER))
        if size == 1:  # a 64-bit size follows; only mdat is that large
            [size] = struct.unpack(">Q", file.read(8))
        elif name == kind:
            return _Box(start, start + size)
        if size < _HEADER:
            return None
        start += size
    return None
