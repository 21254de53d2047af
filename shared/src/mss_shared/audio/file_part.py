"""Files as libraries take them: any name, and a byte range opened as a file of its own."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def native_name(path: Path) -> str | bytes:
    """A path as soundfile takes it, even if it is not valid in the locale's encoding.

    soundfile itself would encode it without the escapes that stand for undecodable bytes.
    """
    return str(path) if os.name == "nt" else os.fsencode(path)


def check_file(path: Path) -> None:
    """Check that there is a file whose bytes can be read in any order.

    Raises:
        FileNotFoundError: if there is nothing, or a link to nothing.
        ValueError: if it is a folder, a pipe or a device, or empty.
    """
    if path.is_file():
        if not path.stat().st_size:
            raise ValueError(f"{path} is empty, it has 0 bytes: restore or remove it")
        return
    if path.is_symlink() and not path.exists():
        raise FileNotFoundError(
            f"{path} is a link to nothing: restore its target, or remove the link"
        )
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}: check its name")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a sound file: rename or remove it")
    raise ValueError(
        f"{path} is a pipe or device, not a sound file: save the sound to a file, and name that"
    )


class FilePart(io.RawIOBase):
    """Bytes ``start`` to ``end`` of a file. It has no name, so libraries detect its format."""

    def __init__(self, path: Path, start: int = 0, end: int | None = None) -> None:
        self.file: IO[bytes] = path.open("rb")
        self.start = start
        self.end = path.stat().st_size if end is None else end
        self.position = start

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
        """The position of the next byte, relative to the start of the part."""
        return self.position - self.start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to another position, as in any file."""
        base = {io.SEEK_SET: self.start, io.SEEK_CUR: self.position, io.SEEK_END: self.end}[whence]
        self.position = max(self.start, base + offset)
        return self.tell()

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer with the next bytes; fewer arrive only at the end."""
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self.end - self.position)
        if wanted <= 0:  # a damaged file can make a library seek past the end
            return 0
        self.file.seek(self.position)
        count: int = self.file.readinto(view[:wanted])  # type: ignore[attr-defined]
        self.position += count
        return count


class SharedFile(FilePart):
    """An open file, perhaps unlinked, read through a position of its own."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.start = self.position = 0
        self.end = file.seek(0, io.SEEK_END)

    def readinto(self, buffer: WriteableBuffer) -> int:
        """As ``FilePart``, but leaves the descriptor's offset, which threads and forks share."""
        if not hasattr(os, "pread"):
            return super().readinto(buffer)
        view = memoryview(buffer).cast("B")
        content = os.pread(
            self.file.fileno(), max(0, min(len(view), self.end - self.position)), self.position
        )
        view[: len(content)] = content
        self.position += len(content)
        return len(content)

    def close(self) -> None:
        """Leave the underlying file open for other readers."""
        io.RawIOBase.close(self)
