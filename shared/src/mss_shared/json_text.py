"""JSON from outside, parsed with limits on size, depth and digits.

Whatever a file holds, parsing it ends soon, in bounded memory, with plain values or a ValueError.
Numbers may be NaN or infinite, as scores are; what a field may hold is for its reader to check.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mss_shared.names import one_line, shorten
from mss_shared.small_files import MOST_BYTES, decode, read_small_file

MOST_VALUES = 2**22  # which take up to a hundred times their bytes
MOST_DEPTH = 50
MOST_INTEGER = 2**63


def parse_json(text: str | bytes, what: str, remedy: str = "fix it") -> Any:
    """The value of a JSON text.

    Args:
        text: the text; bytes are UTF-8.
        what: names the text in errors, such as its path.
        remedy: what to do about it, for errors.

    Raises:
        ValueError: if it is not JSON, is too long or too deep, or has a number of too many digits.
    """
    try:
        if len(text) > MOST_BYTES:
            raise ValueError(f"it is longer than {MOST_BYTES} bytes")
        text = decode(text) if isinstance(text, bytes) else text
        if sum(map(text.count, ",[{")) > MOST_VALUES:
            raise ValueError(f"it has more than {MOST_VALUES} values")
        value = json.loads(text)
        check_nesting(value)
    except RecursionError:
        raise ValueError(f"{what} is not valid JSON (it is too deep): {remedy}") from None
    except ValueError as error:
        raise ValueError(f"{what} is not valid JSON ({one_line(str(error))}): {remedy}") from None
    return value


def read_json(path: Path, remedy: str = "fix it") -> Any:
    """The value of a JSON file in UTF-8.

    Raises:
        OSError: if the file can't be read.
        ValueError: as ``parse_json``, or if it is no plain file.
    """
    return parse_json(read_small_file(path, remedy), str(path), remedy)


def read_json_object(path: Path, remedy: str = "fix it") -> dict[str, Any]:
    """The object of a JSON file in UTF-8.

    Raises:
        OSError: if the file can't be read.
        ValueError: as ``parse_json``, or if its top level is not an object.
    """
    value = read_json(path, remedy)
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds {shorten(value)}, not a JSON object: {remedy}")
    return value


def check_nesting(value: Any) -> None:
    """Raise ValueError for a value that is too deep or has an integer of too many digits."""
    level, depth = [value], 0
    while level:
        if depth > MOST_DEPTH:
            raise ValueError(f"it has more than {MOST_DEPTH} levels")
        for item in level:
            if type(item) is int and abs(item) > MOST_INTEGER:
                raise ValueError(f"it has an integer beyond {MOST_INTEGER}")
        level = [
            inner
            for item in level
            if isinstance(item, dict | list | tuple)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        depth += 1
