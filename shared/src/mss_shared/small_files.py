"""Records, lists and tables: files that are read whole, and so must not be of any size."""

from __future__ import annotations

import stat
from pathlib import Path

MOST_BYTES = 2**26


def read_small_file(path: Path, remedy: str = "restore it, or move it away") -> bytes:
    """The content of a plain file of at most 64 MB.

    Raises:
        OSError: if the file can't be read.
        ValueError: if it is a pipe or a device, which may never end, or longer.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path} is no plain file: {remedy}")
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"{path} is longer than {MOST_BYTES} bytes: {remedy}")
    return content


def read_small_text(path: Path, remedy: str = "restore it, or move it away") -> str:
    """The text of such a file in UTF-8.

    Raises:
        OSError: if the file can't be read.
        ValueError: as ``read_small_file``, or if it is not UTF-8.
    """
    content = read_small_file(path, remedy)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text, byte {error.start} is not UTF-8: {remedy}") from None
