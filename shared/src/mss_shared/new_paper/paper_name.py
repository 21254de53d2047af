"""Which names a new paper may have."""

from __future__ import annotations

import configparser
import importlib.util
import keyword
import re
import sys
from pathlib import Path

from mss_shared.names import shorten

LONGEST = 26  # so that the template's lines keep to 100 characters
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_PYTHONS = re.compile(r"(py|pypy|cpython|python|jython|graalpy)\d*")  # tox takes these for versions


def check_paper_name(repo: Path, name: str) -> None:
    """Check that a paper's package may have this name.

    Args:
        repo: the repository's folder.
        name: from the command line.

    Raises:
        ValueError: if it is not lower-case letters, digits and single underscores, is a word of
            Python, tox or the library, or is taken.
    """
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise ValueError(
            f"the name is {shorten(name)}: use at most {LONGEST} lower-case letters, digits and "
            f"single underscores, a letter first"
        )
    if reason := _taken(repo, name):
        raise ValueError(f"the name {name} {reason}: choose another")


def _taken(repo: Path, name: str) -> str:
    """Why a well-formed name can't be had; empty if it can."""
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in sys.stdlib_module_names:
        return "belongs to Python"
    if name.startswith("mss_") or name in ("mss", "test", "tests"):
        return "belongs to the library"
    if _PYTHONS.fullmatch(name) or name in _environments(repo):
        return "is an environment of tox"
    if (repo / "packages" / name).exists():
        return f"is that of {repo / 'packages' / name}"
    if scores := sorted((repo / "results" / "scores").glob(f"*/{name}")):
        return f"has scores in {scores[0]}"
    if importlib.util.find_spec(name) is not None:
        return "is that of an installed package"
    return ""


def _environments(repo: Path) -> set[str]:
    """Names of environments, and the factors they are made of."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(repo / "tox.ini", encoding="utf-8")
    return {word for section in tox.sections() for word in re.findall(r"\w+", section)}


def class_name(name: str) -> str:
    """The network's class: ``toy_unet`` -> ``ToyUnet``."""
    return "".join(part.capitalize() for part in name.split("_"))


def title(name: str) -> str:
    """What prose calls the paper: ``toy_unet`` -> ``Toy unet``."""
    return name.replace("_", " ").capitalize()
