"""Count the rooms of the shared library, its floors, and the imports between rooms.

python arrows.py REVISION...       default: HEAD; files are read from git, nothing is imported
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache

HOME, PACKAGE = "shared/src/", "mss_shared"
Arrows = set[tuple[str, str]]


def git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout


def sources(revision: str) -> Iterator[tuple[str, str]]:
    """Dotted name and text of every module."""
    for path in git("ls-tree", "-r", "--full-tree", "--name-only", revision).splitlines():
        if path.startswith(f"{HOME}{PACKAGE}/") and path.endswith(".py"):
            name = path.removeprefix(HOME).removesuffix(".py").replace("/", ".")
            yield name.removesuffix(".__init__"), git("show", f"{revision}:{path}")


def room(module: str) -> str:
    """What stands directly in the package: a module, or a folder with all that is in it."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imported(text: str, at_once: bool) -> Iterator[str]:
    """What a module imports of the package; ``at_once``: when it is imported itself."""
    tree = ast.parse(text)
    nodes = tree.body if at_once else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            whole = node.module == PACKAGE
            yield from (f"{node.module}.{n.name}" if whole else node.module for n in node.names)


def arrows(modules: dict[str, str], at_once: bool) -> Arrows:
    """Pairs of rooms of which the first imports the second."""
    pairs = (
        (room(name), room(other))
        for name, text in modules.items()
        for other in imported(text, at_once)
    )
    return {(one, other) for one, other in pairs if one and other and one != other}


def circles(found: Arrows) -> set[str]:
    """Rooms that import themselves over others."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        ahead = [other for one, other in found if one == start]
        while ahead:
            one = ahead.pop()
            if one not in seen:
                seen.add(one)
                ahead += [other for before, other in found if before == one]
        return seen

    return {start for start, _ in found if start in reached(start)}


def floors(found: Arrows) -> dict[str, int]:
    """How many rooms lie one below the other under each."""

    @cache
    def floor(name: str) -> int:
        return 1 + max((floor(other) for one, other in found if one == name), default=0)

    names = {name for pair in found for name in pair}
    return {name: floor(name) for name in names}


def main() -> None:
    print("| revision | rooms | floors | arrows | upward | rooms in circles |")
    print("|---|---|---|---|---|---|")
    for revision in sys.argv[1:] or ["HEAD"]:
        modules = dict(sources(revision))
        rooms = {room(name) for name in modules} - {""}
        at_once, every = arrows(modules, at_once=True), arrows(modules, at_once=False)
        ring = circles(at_once)
        joined = {name: "ring" if name in ring else name for name in rooms}  # one floor for all
        level = floors({(joined[a], joined[b]) for a, b in at_once if joined[a] != joined[b]})
        upward = [
            (a, b)
            for a, b in every
            if joined[a] != joined[b] and level.get(joined[a], 1) <= level.get(joined[b], 1)
        ]
        counts = (len(rooms), max(level.values()), len(every), len(upward), len(ring))
        print(f"| `{revision[:10]}` | " + " | ".join(map(str, counts)) + " |")


if __name__ == "__main__":
    main()
