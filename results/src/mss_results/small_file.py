"""Reading records and tables, which are read whole and so must not be of any size."""

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


def check_values(content: bytes) -> None:
    """Raise ValueError for a JSON text of more values than memory should hold."""
    values = sum(content.count(mark) for mark in (b",", b"[", b"{"))
    if values > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES} values")
