"""Checks that a song's files can get their names, before the work begins."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from mss_shared.separation.output.same_names import find_key

# Bytes of a name and of a path, where the system does not tell.
_LONGEST_NAME, _LONGEST_PATH = 255, 4096


def check_targets(paths: Iterable[Path]) -> None:
    """Check the different final paths of a song, which may exist or not.

    Raises:
        ValueError: if one is a folder or longer than its disk allows, or if the disk takes two for
            the same.
    """
    paths = [*paths]
    for path in paths:
        _check_length(path)
        if path.is_dir():
            raise ValueError(f"{path} is a folder: remove it, or choose another --out")
    key = find_key(paths[0].parent, map(str, paths))
    by_key: dict[str, Path] = {}
    for path in paths:
        if (other := by_key.setdefault(key(str(path)), path)) is not path:
            raise ValueError(f"{other} and {path} are the same file on that disk: rename the sum")


def _check_length(path: Path) -> None:
    folder = next(each for each in path.absolute().parents if _exists(each))
    limit = _limit(folder, "PC_NAME_MAX", _LONGEST_NAME)
    for part in path.absolute().relative_to(folder).parts:
        length = len(os.fsencode(part))
        if length > limit:
            raise ValueError(
                f"{path} can't be written, {part} has {length} bytes and names on that disk at "
                f"most {limit}: rename the song, or choose a shorter --filename"
            )
    longest = _limit(folder, "PC_PATH_MAX", _LONGEST_PATH) - 1  # with the NUL at its end
    if (length := len(os.fsencode(path))) > longest:
        raise ValueError(
            f"{path} has {length} bytes and paths have at most {longest}: choose another --out"
        )


def _exists(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except OSError:  # too long a name
        return False


def _limit(folder: Path, name: str, otherwise: int) -> int:
    """A limit of the folder's file system, in bytes."""
    try:
        return os.pathconf(folder, name)
    except (AttributeError, ValueError, OSError):
        return otherwise
