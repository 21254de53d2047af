"""A part of a file, opened as a file of its own: one song of several, or sound behind a header."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class FilePart(io.RawIOBase):
    """Bytes ``start`` to ``end`` of a file. It has no name: what reads it must go by content."""

    def __init__(self, path: Path, start: int = 0, end: int | None = None) -> None:
        self.file: IO[bytes] = path.open("rb")
        self.start = start
        self.end = path.stat().st_size if end is None else end
        self.at = start

    def readable(self) -> bool:
        """Always, as ``io`` asks for it."""
        return True

    def seekable(self) -> bool:
        """Always, as ``io`` asks for it."""
        return True

    def close(self) -> None:
        """Close the file as well."""
        self.file.close()
        super().close()

    def tell(self) -> int:
        """The position of the next byte, counted from the beginning of the part."""
        return self.at - self.start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to another position, as in any file."""
        base = {io.SEEK_SET: self.start, io.SEEK_CUR: self.at, io.SEEK_END: self.end}[whence]
        self.at = max(self.start, base + offset)
        return self.tell()

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer with the next bytes; fewer arrive only at the end."""
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self.end - self.at)
        if wanted <= 0:  # what reads a broken file may have moved anywhere
            return 0
        self.file.seek(self.at)
        count: int = self.file.readinto(view[:wanted])  # type: ignore[attr-defined]
        self.at += count
        return count


class SharedFile(FilePart):
    """All of an open file that may have no name any more, with a position of its own."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.start = self.at = 0
        self.end = file.seek(0, io.SEEK_END)

    def readinto(self, buffer: WriteableBuffer) -> int:
        """As of ``FilePart``; the file's own position, which threads and forks share, stays."""
        if not hasattr(os, "pread"):
            return super().readinto(buffer)
        view = memoryview(buffer).cast("B")
        found = os.pread(self.file.fileno(), max(0, min(len(view), self.end - self.at)), self.at)
        view[: len(found)] = found
        self.at += len(found)
        return len(found)

    def close(self) -> None:
        """Leave the file open for the others."""
        io.RawIOBase.close(self)
