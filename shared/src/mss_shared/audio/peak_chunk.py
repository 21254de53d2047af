"""Clear the timestamp in float wav files, so that the same sound is the same bytes.

libsndfile can omit the chunk (SFC_SET_ADD_PEAK_CHUNK), but soundfile exposes that only through
private handles, which a new version may rename.
"""

from __future__ import annotations

import struct
from pathlib import Path

_HEADER_BYTES = 4096  # enough for the chunks before the samples


def remove_time(path: Path) -> None:
    """Zero the timestamp in the PEAK chunk that libsndfile writes to float wav files.

    A file without such a chunk is left unchanged.
    """
    with path.open("r+b") as file:
        header = file.read(_HEADER_BYTES)
        if header[:4] != b"RIFF" or header[8:12] != b"WAVE":
            return
        offset = 12
        while offset + 8 <= len(header):
            name, size = struct.unpack_from("<4sI", header, offset)
            if name == b"PEAK":
                file.seek(offset + 12)  # after name, size and version
                file.write(bytes(4))
            if name in (b"PEAK", b"data"):
                return
            offset += 8 + size + size % 2
