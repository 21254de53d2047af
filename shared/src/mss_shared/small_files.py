"""Records, lists and tables: files that are read whole, and so must not be of any size."""

from __future__ import annotations

import codecs
import stat
from pathlib import Path

MOST_BYTES = 2**26

# A mark at the beginning of a text and the encoding it stands for; UTF-32's begins as UTF-16's.
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def marked_encoding(content: bytes) -> str | None:
    """The encoding that the first bytes of a text name, if it is another one than UTF-8."""
    return next((encoding for mark, encoding in _MARKS if content.startswith(mark)), None)


def decode(content: bytes) -> str:
    """The text in UTF-8.

    Raises:
        ValueError: saying in which encoding it is, or which byte is wrong; the end of a sentence.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        encoding = marked_encoding(content)
        if encoding is not None:
            raise ValueError(f"in {encoding}, not in UTF-8") from None
        raise ValueError(f"not text, byte {error.start} is not UTF-8") from None


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
        return decode(content)
    except ValueError as error:
        raise ValueError(f"{path} is {error}: {remedy}") from None
