"""The values of a package's recipes with their sources, and which recipes belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mss_shared.leaf_sources import leaf_comments

ALIKE = 10  # a family's recipes differ from its first in at most this many values


@dataclass(frozen=True)
class Stated:
    """One value of a recipe.

    Attributes:
        value: as in the file.
        source: one of ``LEAF_SOURCES``.
        note: what the comment says beyond it.
    """

    value: Any
    source: str
    note: str


@dataclass(frozen=True)
class Sheet:
    """A recipe's name and its values by dotted name, in the order of the file."""

    name: str
    values: dict[str, Stated]


def read_values(path: Path) -> Sheet:
    """The values of a recipe file and what their comments say."""
    text = path.read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    values = {}
    for name, comment in leaf_comments(text).items():
        value = content
        for part in name.split("."):
            value = value[part]
        source, _, note = comment.partition(":")
        first, _, rest = source.partition(",")
        note = ", ".join(filter(None, (rest.strip(), note.strip())))
        values[name] = Stated(value, first.strip(), note)
    return Sheet(path.stem, values)


def differing(one: Sheet, other: Sheet) -> list[str]:
    """The names of values that two recipes do not share; which row is claimed does not count."""
    names = [*one.values, *(name for name in other.values if name not in one.values)]
    return [
        name
        for name in names
        if name != "reproduces"
        and (name not in one.values or name not in other.values)
        or name != "reproduces"
        and one.values[name].value != other.values[name].value
    ]


def families(recipes: Sequence[Sheet]) -> list[list[Sheet]]:
    """Recipes that differ in few values, together; a recipe joins the first family that it fits."""
    found: list[list[Sheet]] = []
    for recipe in recipes:
        for family in found:
            if len(differing(family[0], recipe)) <= ALIKE:
                family.append(recipe)
                break
        else:
            found.append([recipe])
    return found
