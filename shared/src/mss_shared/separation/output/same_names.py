"""Which names are one on a disk that ignores case or Unicode normalisation. Imports no torch."""

from __future__ import annotations

import os
import secrets
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

from mss_shared.atomic import PART

Key = Callable[[str], str]


def find_key(folder: Path, names: Iterable[str]) -> Key:
    """A function that gives the same key for names that are the same on the folder's disk.

    The disk is tried, with an empty file that vanishes at once, only if names make it necessary.
    """
    names = {*names}
    if len({_folded(name) for name in names}) == len(names):
        return str
    ignores_case, ignores_form = _try_disk(next(f for f in (folder, *folder.parents) if f.is_dir()))

    def key(name: str) -> str:
        name = _composed(name) if ignores_form else name
        return name.casefold() if ignores_case else name

    return key


def _try_disk(folder: Path) -> tuple[bool, bool]:
    """Whether a disk takes names for equal that differ in case, or in Unicode normalisation."""
    stem = f"{PART}{secrets.token_hex(6)}"
    probe = folder / f"{stem}-a\u00e9"
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except (OSError, UnicodeEncodeError):
        return False, False  # writing will fail, with a better message
    try:
        case, form = folder / f"{stem}-A\u00e9", folder / f"{stem}-ae\u0301"
        return os.path.lexists(case), os.path.lexists(form)
    finally:
        probe.unlink()


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return _composed(name).casefold()
