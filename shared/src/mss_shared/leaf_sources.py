"""Where the values of a recipe come from: the comments behind them.

``paper``; ``code``, by its authors; ``second-hand``, others say that the paper states it, and the
comment says who; ``ours``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

import yaml

LEAF_SOURCES = ("paper", "code", "second-hand", "ours")


def leaf_comments(text: str) -> dict[str, str]:
    """The comment behind every value of a recipe's YAML.

    Args:
        text: valid YAML, a mapping. Values are all but block mappings; a list counts as one.

    Returns:
        Dotted name, such as ``training.lr``, to comment, empty where there is none.
    """
    root = yaml.compose(text, yaml.SafeLoader)
    lines = text.splitlines()
    return dict(_walk(root, lines, "")) if isinstance(root, yaml.MappingNode) else {}


def _walk(mapping: yaml.MappingNode, lines: list[str], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in mapping.value:
        name = f"{prefix}{key.value}"
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            yield from _walk(value, lines, f"{name}.")
        else:
            # A block list ends where the next key begins: its comment stands behind its key.
            block = isinstance(value, yaml.CollectionNode) and not value.flow_style
            comment = _comment(lines, key.end_mark if block else value.end_mark)
            # A list over several lines may have it behind its first bracket.
            yield name, comment or _comment(lines, value.start_mark, r"\[\s*#(.*)$")


def _comment(lines: list[str], mark: yaml.Mark, pattern: str = r"\s*:?\s*#(.*)$") -> str:
    """The comment that follows a place on its line; empty if there is none."""
    rest = lines[mark.line][mark.column :] if mark.line < len(lines) else ""
    match = re.match(pattern, rest)
    return match.group(1).strip() if match else ""


def count_sources(text: str, changed: Collection[str] = ()) -> dict[str, int]:
    """How many values name each of ``LEAF_SOURCES``.

    Values without a source count as ours, and so do changed ones, whatever their comment says.

    Args:
        text: as in ``leaf_comments``.
        changed: dotted names of values that are not those the comments speak of.
    """
    counts = dict.fromkeys(LEAF_SOURCES, 0)
    for name, comment in leaf_comments(text).items():
        match = re.match(rf"({'|'.join(LEAF_SOURCES)})\b", comment)
        ours = match is None or any(_overlap(name, other) for other in changed)
        counts["ours" if ours or match is None else match.group(1)] += 1
    return counts


def _overlap(name: str, other: str) -> bool:
    """Whether two dotted names are the same, or one lies within the other."""
    return f"{name}.".startswith(f"{other}.") or f"{other}.".startswith(f"{name}.")
