"""Tells a finished run from one that was interrupted: run.json is written last."""

import json
import re
from pathlib import Path

_WORDS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
_CUT = re.compile(r"u[0-9a-fA-F]{0,4}|\.|[eE][+-]?")  # of an escape, of a number


def is_finished(folder: Path) -> bool:
    """Whether a run's folder has a run.json that does not end in the middle.

    One that is wrong in another way counts as finished: reading it says what is wrong.
    """
    file = folder / "run.json"
    return file.is_file() and not is_cut(file.read_bytes())


def is_cut(content: bytes) -> bool:
    """Whether JSON ends before it is complete, as a half-written file does."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":
            return False
        text = content[: error.start].decode("utf-8")
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        rest = text[error.pos :].strip()
        if error.msg.startswith("Unterminated string") or not rest:
            return True
        return bool(_CUT.fullmatch(rest)) or any(word.startswith(rest) for word in _WORDS)
    except (ValueError, RecursionError):
        return False
    return False
