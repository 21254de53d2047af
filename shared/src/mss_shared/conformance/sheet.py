"""The text of a conformance sheet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mss_shared.conformance.facts import (
    STEP,
    Difference,
    Facts,
    read_differences,
    read_facts,
    read_sizes,
)
from mss_shared.conformance.families import Sheet, Stated, differing, families, read_values
from mss_shared.conformance.sizes import Size
from mss_shared.leaf_sources import LEAF_SOURCES
from mss_shared.paper import AnyPaper
from mss_shared.recipe import shipped_recipes

LONGEST = 6  # values of a list that are shown
SECTIONS = ("data", "model", "training", "inference", "evaluation")
INTRODUCTION = """<!-- written by python -m mss_shared.conformance; do not edit -->

A value's source is `paper`; `code`, the authors'; `second-hand`, where others say that the paper
states it; or `ours`, stated nowhere that was read. A note behind `ours` says what is known instead.
"""


def conformance_sheet(paper: AnyPaper, package: Path) -> str:
    """The sheet of a package, with the sizes that were counted last.

    Args:
        paper: its PAPER.
        package: its folder in the repository.
    """
    facts = read_facts(package)
    recipes = [read_values(path) for path in shipped_recipes(paper.name)]
    parts = [
        f"# Conformance: {facts.title}\n\n{INTRODUCTION}",
        f"## Networks\n\n{_networks(facts, recipes, read_sizes(package))}",
        f"## Training\n\n{_training(facts, recipes)}",
        f"## Sources\n\n{_sources(recipes)}",
        f"## Verified\n\n{_verified(read_differences(package))}",
        f"## Values\n\n{_values(recipes)}",
    ]
    return "\n".join(parts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, without the columns in which all cells are empty."""
    cells = [[_cell(cell) for cell in row] for row in rows]
    kept = [i for i in range(len(head)) if any(row[i] for row in cells)]
    lines = [[row[i] for i in kept] for row in ([*head], ["---"] * len(head), *cells)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _networks(facts: Facts, recipes: Sequence[Sheet], sizes: Mapping[str, Size]) -> str:
    """Sizes beside the published ones; recipes with the same network share a row."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for recipe in recipes:
        parameters, gmac = sizes[recipe.name]
        stated = facts.sizes(recipe.name)
        row = (
            f"{parameters:,}",
            *_beside(parameters, stated.parameters if stated else None, 1e6, " M"),
            f"{gmac:,.0f}" if gmac >= 1_000 else f"{gmac:.3g}",
            *_beside(gmac, stated.gmac if stated else None, 1.0, ""),
            _named(recipe, facts.stft),
            stated.source if stated else "",
        )
        rows.setdefault(row, []).append(recipe.name)
    head = ("recipes", "parameters", "published", "apart", "GMAC/s", "published", "apart")
    return table(
        (*head, "STFT", "where published"), [(_names(names), *row) for row, names in rows.items()]
    ) + (
        "\nParameters include frozen ones. GMAC/s: giga multiply-accumulates per second of audio, "
        "counted on 6 s;\nmatrix products, convolutions, attention and recurrent layers.\n"
    )


def _beside(ours: float, published: float | None, unit: float, suffix: str) -> tuple[str, str]:
    """A published size and how far ours is from it."""
    if not published:
        return "", ""
    if ours == published:
        return f"{published:,}", "equal"
    return f"{published / unit:g}{suffix}", f"{100.0 * (ours / published - 1.0):+.1f} %"


def _training(facts: Facts, recipes: Sequence[Sheet]) -> str:
    """How recipes are trained; those that are trained alike share a row."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for recipe in recipes:
        row = (
            _shown(recipe.values["data.chunk_seconds"].value),
            _shown(recipe.values["training.batch"].value),
            _shown(recipe.values["data.examples_per_epoch"].value),
            _shown(recipe.values["training.epochs"].value),
            _named(recipe, facts.loss, quiet=True),
            _named(recipe, facts.optimizer, quiet=True),
        )
        rows.setdefault(row, []).append(recipe.name)
    head = ("recipes", "chunk, s", "effective batch", "examples per epoch", "epochs", "loss")
    return table((*head, "optimizer"), [(_names(names), *row) for row, names in rows.items()])


def _named(recipe: Sheet, names: Sequence[str], quiet: bool = False) -> str:
    """Values by their last name, and words; with ``quiet`` without values that are off."""
    parts = []
    for name in names:
        stated = recipe.values.get(name)
        if "." not in name:
            parts.append(name)
        elif stated is not None and not (quiet and stated.value in (0, None, False, [])):
            parts.append(f"{name.rpartition('.')[2]} {_shown(stated.value)}")
    return ", ".join(parts)


def _sources(recipes: Sequence[Sheet]) -> str:
    """How many values of each recipe have which source."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for recipe in recipes:
        sources = [stated.source for stated in recipe.values.values()]
        row = tuple(str(sources.count(source)) for source in LEAF_SOURCES)
        rows.setdefault(row, []).append(recipe.name)
    return table(("recipes", *LEAF_SOURCES), [(_names(names), *row) for row, names in rows.items()])


def _verified(differences: Sequence[Difference]) -> str:
    """The frozen outputs by the code that made them."""
    rows = []
    for reference in dict.fromkeys(each.reference for each in differences):
        own = [each for each in differences if each.reference == reference]
        worst = max(own, key=lambda each: each.share)
        rows.append((reference, str(len(own)), f"{worst.share:.1e}", f"`{worst.fixture}`"))
    head = ("outputs of", "fixtures", "largest difference, share of the peak", "in")
    steps = "Of training steps: the loss and the norms of gradients, each as a share of itself.\n"
    return table(head, rows) + (
        "\nSmall networks with frozen weights; outputs of our code for the same inputs, on one "
        "thread, in the\nprecision of the fixture. What each holds: "
        "[tests/golden/README.md](tests/golden/README.md).\n"
        + (steps if any(each.reference.endswith(STEP) for each in differences) else "")
    )


def _values(recipes: Sequence[Sheet]) -> str:
    """All values, a folded table per family of recipes."""
    parts = []
    for family in families(recipes):
        changing = {name for other in family[1:] for name in differing(family[0], other)}
        changing |= {name for other in family[1:] for name in other.values if _notes(family, name)}
        names = [name for name in family[0].values if name not in changing]
        title = f"<details><summary>{_summary(family)}</summary>\n\n"
        text = title + _stated_table(family[0], names)
        if changing:
            text += f"\nWhat differs within the family:\n\n{_changes(family, changing)}"
        parts.append(f"{text}\n</details>\n")
    return "\n".join(parts)


def _notes(family: Sequence[Sheet], name: str) -> bool:
    """Whether recipes of a family give different sources or notes for one value."""
    stated = [recipe.values.get(name) for recipe in family]
    return any(each != stated[0] for each in stated)


def _summary(family: Sequence[Sheet]) -> str:
    return ", ".join(f"<code>{recipe.name}</code>" for recipe in family)


def _stated_table(recipe: Sheet, names: Sequence[str]) -> str:
    rows = [(f"`{name}`", *_stated_cells(recipe.values[name])) for name in names]
    return table(("value", "here", "source", "note"), rows)


def _stated_cells(stated: Stated) -> tuple[str, str, str]:
    return _shown(stated.value), stated.source, stated.note


def _changes(family: Sequence[Sheet], names: Iterable[str]) -> str:
    """A row per value and what recipes say of it."""
    order = [name for recipe in family for name in recipe.values]
    rows = []
    for name in dict.fromkeys(name for name in order if name in set(names)):
        cells: dict[tuple[str, str, str], list[str]] = {}
        for recipe in family:
            if name in recipe.values:
                cells.setdefault(_stated_cells(recipe.values[name]), []).append(recipe.name)
        rows += [(f"`{name}`", _names(having), *cell) for cell, having in cells.items()]
    return table(("value", "recipes", "here", "source", "note"), rows)


def _names(names: Sequence[str]) -> str:
    """Names of recipes; those that differ in their last word together."""
    groups: dict[str, list[str]] = {}
    for name in names:
        start = name.rpartition("_")[0]
        groups.setdefault(start if start else f"{name}_", []).append(name)
    return ", ".join(
        f"`{start}_{{{','.join(each.rpartition('_')[2] for each in group)}}}`"
        if len(group) > 2
        else ", ".join(f"`{name}`" for name in group)
        for start, group in groups.items()
    )


def _shown(value: Any) -> str:
    """A value as YAML writes it, long lists shortened."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        shown = [_shown(item) for item in value[:LONGEST]]
        more = f", ... {_shown(value[-1])} ({len(value)})" if len(value) > LONGEST else ""
        return f"[{', '.join(shown)}{more}]"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
    return str(value)
