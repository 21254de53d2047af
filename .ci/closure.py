"""What `pip install` brings with each distribution and extra of ours, by the metadata.

Ours are read from the pyproject.toml files of the repository, others as they are installed here.
"""

import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECTS: dict[str, dict[str, Any]] = {
    project["name"]: project
    for path in sorted(ROOT.glob("*/pyproject.toml")) + sorted(ROOT.glob("*/*/pyproject.toml"))
    for project in [tomllib.loads(path.read_text(encoding="utf-8"))["project"]]
}


def requirements(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    """What a distribution asks for in this environment, with some of its extras."""
    if name in PROJECTS:
        project = PROJECTS[name]
        lines = list(project["dependencies"])
        for extra in extras:
            lines += project["optional-dependencies"][extra]
    else:
        lines = metadata.requires(name) or []
    for line in lines:
        wanted = Requirement(line)
        marker = wanted.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield wanted


def closure(*wanted: str) -> set[str]:
    """Canonical names of all that `pip install WANTED ...` brings."""
    todo = [Requirement(line) for line in wanted]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        each = todo.pop()
        key = (str(canonicalize_name(each.name)), frozenset(each.extras))
        if key not in seen:
            seen.add(key)
            todo += requirements(*key)
    return {name for name, _ in seen}
