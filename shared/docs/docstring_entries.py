"""Entries of docstrings that stand for several names, as napoleon can read them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

SECTION = re.compile(r"( *)(Args|Attributes):$")
ENTRY = re.compile(r"( +)(\w+(?:, \w+)+): (.*)$")


def one_name_each(lines: Sequence[str]) -> list[str]:
    """The lines of a docstring, with ``first, second: text`` as an entry for each of the names."""
    written: list[str] = []
    depth: int | None = None  # of a section's title, inside of one
    for block in _blocks(lines):
        title = SECTION.match(block[0])
        if title:
            depth = len(title[1])
        elif block[0].strip() and depth is not None and _indent(block[0]) <= depth:
            depth = None
        entry = ENTRY.match(block[0]) if depth is not None else None
        names = entry[2].split(", ") if entry else []
        for name in names:
            written += [f"{entry[1]}{name}: {entry[3]}", *block[1:]] if entry else []
        written += [] if names else block
    return written


def _blocks(lines: Sequence[str]) -> Iterator[list[str]]:
    """Each line with those after it that are indented further."""
    block: list[str] = []
    for line in lines:
        within = block and SECTION.match(block[0]) is None and line.strip()
        if within and block[0].strip() and _indent(line) > _indent(block[0]):
            block.append(line)
            continue
        if block:
            yield block
        block = [line]
    if block:
        yield block


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
