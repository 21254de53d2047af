"""Names and paths read from files: what may become part of a path, and where it may lead.

Weights, score records and manifests are untrusted: what they contain must never lead to a path
outside the folder that the user named.
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

# The same rule as in mss_results: table files are named for data set, method, run and protocol.
_LONGEST = 128
_LONGEST_FILE_NAME = 240  # bytes; file systems take 255, and endings such as .json follow
_JOINERS = "\u200c\u200d"  # of letters and of symbols
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@-]*")


def is_name(text: object) -> bool:
    """Whether a text may name a recipe, a run, a method, a data set or a protocol."""
    if not isinstance(text, str) or len(text) > _LONGEST:
        return False
    return bool(_NAME.fullmatch(text)) and "--" not in text


def check_name(text: object, what: str) -> str:
    """The text, if it may name a recipe, a run, a method, a data set or a protocol.

    Raises:
        ValueError: naming ``what``, if it has other characters than letters, digits and . _ + @ -,
            begins with one of these, or contains two - in a row.
    """
    if isinstance(text, str) and is_name(text):
        return text
    raise ValueError(
        f"{what} is {shorten(text)}: names have letters, digits and . _ + @ -, begin with a letter "
        f"or a digit, and contain no '--'"
    )


def name_like(text: str, otherwise: str) -> str:
    """A valid name close to a text, such as a folder's name; ``otherwise`` if nothing is left."""
    kept = re.sub(r"-{2,}", "-", re.sub(r"[^A-Za-z0-9._+@-]+", "_", text))
    name = kept.lstrip("._+@-")
    return name[:_LONGEST] if name.strip("_") else otherwise


def is_file_name(text: object) -> bool:
    """Whether a text may name a file: one part of a path, visible, without control characters."""
    if not isinstance(text, str) or not text.strip() or text.startswith("."):
        return False
    try:
        # Some surrogates stand for the bytes of a name on disk that is not UTF-8; others for none.
        if len(os.fsencode(text)) > _LONGEST_FILE_NAME:
            return False
    except UnicodeEncodeError:
        return False
    return not any(mark in "/\\" or unicodedata.category(mark) == "Cc" for mark in text)


def check_file_name(text: object, what: str) -> str:
    """The text, if it may name a file; for stems, whose names are otherwise free.

    Raises:
        ValueError: naming ``what``, if it is empty, contains a slash, a backslash or a control
            character, or begins with a dot.
    """
    if isinstance(text, str) and is_file_name(text):
        return text
    raise ValueError(
        f"{what} is {shorten(text)}, which can't name a file: use no / and no \\, and no . at the "
        f"beginning"
    )


def inside(folder: Path, *parts: str) -> Path:
    """A path that lies below a folder, whatever its parts and the links on the way.

    Raises:
        ValueError: if it would lie elsewhere.
    """
    path = folder.joinpath(*parts)
    try:
        is_below = path.resolve().is_relative_to(folder.resolve())
    except (ValueError, OSError, RuntimeError):  # a NUL character, endless links
        is_below = False
    if not is_below or path == folder or any(".." in Path(part).parts for part in parts):
        raise ValueError(
            f"{shorten('/'.join(parts))} does not lie below {folder}: nothing is written there"
        )
    return path


def real_path(path: Path) -> Path:
    """A path without links; endless ones stay, for whoever opens them to say so.

    ``Path.resolve`` raises a RuntimeError for these before Python 3.13.
    """
    return Path(os.path.realpath(path))


def printable(text: str) -> str:
    r"""A name or a message as a terminal may show it: what would command it is escaped, as \x1b.

    These are control characters, line ends among them, marks that turn the direction of writing or
    are invisible, and bytes of a name that is not UTF-8. Letters of all scripts stay, and so do the
    joiners between them.
    """
    if text.isprintable():
        return text
    return "".join(_escape(mark) if _commands(mark) else mark for mark in text)


def _commands(mark: str) -> bool:
    return unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Zl", "Zp") and mark not in _JOINERS


def _escape(mark: str) -> str:
    return mark.encode("ascii", "backslashreplace").decode() if mark > "\x7f" else repr(mark)[1:-1]


def shorten(value: object) -> str:
    """A value from a file for a message: quoted, escaped, of bounded length."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}...{text[-10:]}"


def one_line(text: str) -> str:
    """A message of another program for a sentence of ours: one printable line of bounded length."""
    line = " ".join(text.split())
    line = line if line.isprintable() else ascii(line)[1:-1]
    return line if len(line) <= 500 else f"{line[:400]}...{line[-90:]}"
