"""The verb ``recipe``: every value of a recipe with its source, and how two recipes differ."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mss_shared import console
from mss_shared.leaf_sources import LEAF_SOURCES, leaf_comments
from mss_shared.paper import AnyPaper
from mss_shared.recipe import LoadedRecipe, find_recipe, load_recipe

_USAGE = "use recipe show NAME or recipe diff A B"


@dataclasses.dataclass(frozen=True)
class Value:
    """A value of a recipe.

    Attributes:
        name: dotted, such as ``training.lr``.
        text: as JSON, except for plain words.
        source: one of ``LEAF_SOURCES``; ours if the recipe names none.
        note: what the recipe says about it.
    """

    name: str
    text: str
    source: str
    note: str


def show_or_compare(paper: AnyPaper, arguments: argparse.Namespace) -> None:
    """Run the verb.

    Raises:
        FileNotFoundError, ValueError: for a command or a recipe that does not exist.
    """
    action, *names = arguments.words
    if {"show": 1, "diff": 2}.get(action) != len(names):
        raise ValueError(f"recipe {' '.join(arguments.words)} is not a command: {_USAGE}")
    recipes = [read_values(paper, name) for name in names]
    rows = _shown(recipes[0]) if action == "show" else compare(recipes[0], recipes[1])
    if arguments.json:
        console.say(json.dumps(rows, indent=1))
    elif not rows:
        console.say(f"{names[0]} and {names[1]} have the same values")
    else:
        header = ["value", *LEAF_SOURCES, "note"] if action == "show" else ["value", *names]
        console.say("\n".join(_columns([header, *(_cells(row, header) for row in rows)])))


def read_values(paper: AnyPaper, name: str) -> list[Value]:
    """Every value of a recipe, in its order.

    Args:
        paper: the package.
        name: of a shipped recipe, or the path of a YAML file.

    Raises:
        FileNotFoundError, ValueError: if there is no such recipe, or it is not valid.
    """
    return list_values(load_recipe(paper.recipe_type, find_recipe(paper.name, name)))


def list_values(loaded: LoadedRecipe[Any]) -> list[Value]:
    """Every value of a recipe, in its order."""
    comments = leaf_comments(loaded.text)
    values = []
    for leaf, value in _leaves(dataclasses.asdict(loaded.recipe), ""):
        # A mapping in one line has one comment.
        comment = comments.get(leaf) or comments.get(leaf.rpartition(".")[0], "")
        match = re.match(rf"({'|'.join(LEAF_SOURCES)})\b[:,]?\s*", comment)
        source = match.group(1) if match else "ours"
        note = comment[match.end() :] if match else comment or "no source"
        values.append(Value(leaf, _text(value), source, note))
    return values


def _leaves(values: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shown(values: Sequence[Value]) -> list[dict[str, str]]:
    return [{"value": value.name, value.source: value.text, "note": value.note} for value in values]


def compare(first: Sequence[Value], second: Sequence[Value]) -> list[dict[str, str]]:
    """The names whose values differ, with both and their sources."""
    ours, theirs = ({value.name: value for value in recipe} for recipe in (first, second))
    rows = []
    for name in dict.fromkeys((*ours, *theirs)):
        a, b = ours.get(name), theirs.get(name)
        if a is None or b is None or a.text != b.text:
            rows.append({"value": name, "first": _sourced(a), "second": _sourced(b)})
    return rows


def _sourced(value: Value | None) -> str:
    return "-" if value is None else f"{value.text} ({value.source})"


def _cells(row: dict[str, str], header: Sequence[str]) -> list[str]:
    if "first" in row:
        return [row["value"], row["first"], row["second"]]
    return [row.get(name, "") for name in header]


def _columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines with columns below each other; a long text pushes what follows it to the right."""
    table = [*rows]
    widths = [
        max(len(cell) for row in table for cell in [row[n]] if n == 0 or len(cell) <= 40)
        for n in range(len(table[0]))
    ]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
