"""The time of writing inside sound files, which would make the same sound other bytes.

libsndfile can leave the chunk out (SFC_SET_ADD_PEAK_CHUNK), but soundfile gives no way to say so
other than by its private handles, which a new version may rename.
"""

from __future__ import annotations

import struct
from pathlib import Path

_HEADER_BYTES = 4096  # the chunks before the samples lie within


def remove_time(path: Path) -> None:
    """Zero the time in the PEAK chunk that libsndfile writes into float wav files.

    A file without such a chunk stays as it is.
    """
    with path.open("r+b") as file:
        header = file.read(_HEADER_BYTES)
        if header[:4] != b"RIFF" or header[8:12] != b"WAVE":
            return
        place = 12
        while place + 8 <= len(header):
            name, size = struct.unpack_from("<4sI", header, place)
            if name == b"PEAK":
                file.seek(place + 12)  # after name, size and version
                file.write(bytes(4))
            if name in (b"PEAK", b"data"):
                return
            place += 8 + size + size % 2
