"""Reading records and tables, which are read whole and so must not be of any size."""

import codecs
import stat
from pathlib import Path

MOST_BYTES = 2**26
MOST_VALUES = 2**22  # of a JSON text, which take up to a hundred times its bytes


def read_small(file: Path) -> bytes:
    """The content of a plain file of at most 64 MB.

    Raises:
        OSError: if the file can't be read.
        ValueError: if it is a folder, pipe or device, or longer.
    """
    if not stat.S_ISREG(file.stat().st_mode):
        raise ValueError(f"{file}: no plain file: replace it")
    with file.open("rb") as opened:
        content = opened.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"{file}: longer than {MOST_BYTES} bytes: replace it")
    return content


def decode(content: bytes) -> str:
    """A text in UTF-8.

    Raises:
        ValueError: saying which byte is wrong, or that it is in UTF-16; a part of a sentence.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ValueError("in UTF-16, not in UTF-8") from None
        raise ValueError(f"not UTF-8 at byte {error.start}") from None


def check_values(content: bytes) -> None:
    """Raise ValueError for a JSON text of more values than memory should hold."""
    values = sum(content.count(mark) for mark in (b",", b"[", b"{"))
    if values > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES} values")
