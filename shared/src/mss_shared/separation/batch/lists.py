"""Lists of songs: a name per line, or names that end with NUL. Imports no torch."""

from __future__ import annotations

import codecs
import os
import sys
from pathlib import Path
from typing import BinaryIO

from mss_shared.small_files import MOST_BYTES, marked_encoding


def read_list(content: bytes, source: str, *, ends_with_nul: bool = False) -> list[str]:
    """The entries of a list, in UTF-8 or as the bytes of names on disk.

    A line is taken as it is if there is such a file or folder. Any other loses its outer spaces,
    and is skipped if it is empty or begins with #. Names that end with NUL are taken as they are.

    Args:
        content: of the list.
        source: where it comes from, for error messages.
        ends_with_nul: whether names end with NUL, as ``find -print0`` writes them.

    Raises:
        ValueError: if the list is in another encoding.
    """
    content = content.removeprefix(codecs.BOM_UTF8)  # Windows' byte order mark
    if ends_with_nul:
        return [_decode(name, source) for name in content.split(b"\0") if name]
    _check_encoding(content, source)
    # Only at line feeds: a name may hold the other characters that Python takes for ends of lines.
    lines = [_decode(line.removesuffix(b"\r"), source) for line in content.split(b"\n")]
    words = [line if line and os.path.lexists(line) else _entry(line) for line in lines]
    return [word for word in words if word]


def read_listed(name: str, *, ends_with_nul: bool = False) -> list[str]:
    """The entries of a list in a file, or on stdin for ``-``.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: as ``read_list``, if stdin is closed, or if it is longer than 64 MB.
        OSError: if it can't be read.
    """
    if name == "-":
        return read_list(_read_stdin(), "the list on stdin", ends_with_nul=ends_with_nul)
    path = Path(name)
    if not path.exists() or path.is_dir():
        raise FileNotFoundError(f"there is no list {path}: check --list")
    with path.open("rb") as file:
        content = _read(file, f"the list {path}")
    return read_list(content, f"the list {path}", ends_with_nul=ends_with_nul)


def _read_stdin() -> bytes:
    if sys.stdin is None or sys.stdin.closed:
        raise ValueError("stdin is closed, so there is no list to read: name files instead of -")
    if hasattr(sys.stdin, "buffer"):
        return _read(sys.stdin.buffer, "the list on stdin")
    return os.fsencode(sys.stdin.read())


def _read(file: BinaryIO, source: str) -> bytes:
    """All of a file, a pipe or a device, which may never end."""
    content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"{source} is longer than {MOST_BYTES} bytes: it must be a list of songs")
    return content


def _entry(line: str) -> str:
    word = line.strip()
    return "" if word.startswith("#") else word


def _check_encoding(content: bytes, source: str) -> None:
    """Raise ValueError for UTF-16 and UTF-32, and for names that end with NUL."""
    known = marked_encoding(content)
    if known is None and b"\0" in content:
        # ASCII in UTF-16 has a NUL in every other byte.
        if content.count(b"\0") < len(content) // 4:
            raise ValueError(f"{source} has NUL characters: if names end with them, use --list0")
        known = "UTF-16"
    if known is not None:
        raise ValueError(f"{source} is in {known}: save it in UTF-8")


def _decode(name: bytes, source: str) -> str:
    """A name in UTF-8, or that of a file whose name is no text."""
    try:
        word = name.decode()
    except UnicodeDecodeError as error:
        word = os.fsdecode(name)
        if not os.path.lexists(word):
            where = name[max(0, error.start - 10) : error.start].decode(errors="ignore")
            raise ValueError(
                f"{source} is not in UTF-8 (after {where!r} there is the byte "
                f"0x{name[error.start]:02x}), nor is there such a file; if it is in Latin-1, save "
                f"it in UTF-8"
            ) from None
        return word
    return os.fsdecode(name) if os.name != "nt" else word
