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


def imported(text: str) -> Iterator[str]:
    """What a module imports of the package, in the bodies of functions too."""
    for node in executed(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            whole = node.module == PACKAGE
            yield from (f"{node.module}.{n.name}" if whole else node.module for n in node.names)


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below one, but for what is there for annotations alone."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            yield child
            yield from executed(child)


def arrows(modules: dict[str, str]) -> Arrows:
    """Pairs of rooms of which the first imports the second."""
    pairs = (
        (room(name), room(other)) for name, text in modules.items() for other in imported(text)
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
    print("| revision | rooms | floors | arrows | rooms in circles |")
    print("|---|---|---|---|---|")
    for revision in sys.argv[1:] or ["HEAD"]:
        modules = dict(sources(revision))
        rooms = {room(name) for name in modules} - {""}
        found = arrows(modules)
        ring = circles(found)
        joined = {name: "ring" if name in ring else name for name in rooms}  # one floor for all
        level = floors({(joined[a], joined[b]) for a, b in found if joined[a] != joined[b]})
        counts = (len(rooms), max(level.values()), len(found), len(ring))
        print(f"| `{revision[:10]}` | " + " | ".join(map(str, counts)) + " |")


if __name__ == "__main__":
    main()
