"""Finds the folders of runs, finished or interrupted: run.json is written last."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from mss_results.small_file import check_values, read_small

_WORDS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
_CUT = re.compile(r"u[0-9a-fA-F]{0,4}|\.|[eE][+-]?")  # of an escape, of a number


def run_folders(root: Path, dataset: str | None = None) -> list[Path]:
    """The folders of all finished runs, or of those on one data set, sorted."""
    return [folder for folder in _all_folders(root, dataset) if is_finished(folder)]


def find_unfinished(roots: Sequence[Path]) -> list[Path]:
    """The folders that an evaluation has begun and not finished: read_runs passes them over."""
    folders = [folder for root in roots if root.is_dir() for folder in _all_folders(root)]
    return [folder for folder in folders if not is_finished(folder)]


def _all_folders(root: Path, dataset: str | None = None) -> list[Path]:
    datasets = [folder for folder in folders_in(root) if dataset in (None, folder.name)]
    methods = [inner for folder in datasets for inner in folders_in(folder)]
    return [inner for folder in methods for inner in folders_in(folder)]


def folders_in(folder: Path) -> list[Path]:
    """The folders inside, sorted, without hidden ones; none if there is no such folder."""
    if not folder.is_dir():
        return []
    inside = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in inside if path.is_dir())


def is_finished(folder: Path) -> bool:
    """Whether a run's folder has a run.json that does not end in the middle.

    One that is wrong in another way counts as finished: reading it says what is wrong.
    """
    file = folder / "run.json"
    return file.is_file() and not is_cut(read_small(file))


def is_cut(content: bytes) -> bool:
    """Whether JSON ends before it is complete, as a half-written file does."""
    try:
        check_values(content)
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
