"""A file read as if parts of it were left out or stood otherwise, without a copy."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Patched(io.RawIOBase):
    """Some bytes, and behind them parts of a file."""

    def __init__(self, path: Path, begin: bytes, parts: Sequence[tuple[int, int]]) -> None:
        """Of each part, its first byte and its last + 1."""
        self.begin = begin
        self.parts = parts
        self.ends = [*accumulate([len(begin), *(end - start for start, end in parts)])]
        self.place = 0
        self.file = path.open("rb")

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Close the file as well."""
        self.file.close()
        super().close()

    def tell(self) -> int:
        """Where the next byte comes from."""
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, as in any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.ends[-1]}[whence]
        self.place = max(0, base + offset)
        return self.place

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer with the next bytes; fewer arrive only at the end."""
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and self.place < self.ends[-1]:
            number = bisect_right(self.ends, self.place)
            piece = self._piece(number, min(len(view) - done, self.ends[number] - self.place))
            if not piece:
                break
            view[done : done + len(piece)] = piece
            done += len(piece)
            self.place += len(piece)
        return done

    def _piece(self, number: int, size: int) -> bytes:
        if not number:
            return self.begin[self.place : self.place + size]
        start, _ = self.parts[number - 1]
        self.file.seek(start + self.place - self.ends[number - 1])
        return self.file.read(size)
