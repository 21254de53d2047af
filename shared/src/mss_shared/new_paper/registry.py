"""Files that list every paper, because their readers can't look into ``packages/``.

A line belongs to a list of papers if it has one of `_FORMS`, or a group in braces such as
``test-{lasaft, open_unmix}``. A paper is registered where any other paper is.
"""

from __future__ import annotations

import re
from pathlib import Path

PAPERS = ".ci/papers.txt"
FILES = ("tox.ini", ".importlinter", PAPERS, "README.md")
_FORMS = (
    "    {0}",
    "    {0}: PAPER = {0}",
    "-e ./packages/{0}",
    "| [`{0}`](packages/{0}/README.md) |",
)
_ROW = " to be written | model, training, recipes, demo |"  # after the last form
_ANY = "{...}"  # a group in a form
_GROUP = re.compile(r"\{([\w, ]+)\}")

Place = tuple[str, str]  # section of the file, form of the line


def listed_papers(repo: Path) -> list[str]:
    """The papers that tox installs, in order.

    Raises:
        ValueError: if there is none.
    """
    path = repo / PAPERS
    lines = path.read_text(encoding="utf-8").splitlines()
    start = _FORMS[2].format("")
    listed = [line.removeprefix(start) for line in lines if line.startswith(start)]
    if not listed:
        raise ValueError(f"{path} lists no paper: a line is {start}NAME")
    return listed


def missing_lines(repo: Path, name: str, other: str) -> list[str]:
    """Where a paper is not listed though another one is.

    Args:
        repo: the repository's folder.
        name: the paper.
        other: a paper that is registered.

    Returns:
        ``FILE, SECTION: LINE`` for every list.
    """
    found = []
    for file in FILES:
        text = (repo / file).read_text(encoding="utf-8")
        for section, form in places(text, other).keys() - places(text, name).keys():
            line = form.replace(_ANY, f"{{..., {name}}}").replace("{0}", name).strip()
            found.append(f"{file}, {section or 'top'}: {line}")
    return sorted(found)


def register(text: str, name: str, other: str) -> str:
    """The text of one of ``FILES`` with a paper's lines, each behind those of another paper."""
    lines = text.splitlines(keepends=True)
    known = places(text, name)
    wanted = {place: at for place, at in places(text, other).items() if place not in known}
    for (_, form), at in sorted(wanted.items(), key=lambda item: -item[1]):
        if form not in _FORMS:
            lines[at] = _GROUP.sub(lambda group: _join(group, name, other), lines[at])
        else:
            row = _ROW if form == _FORMS[-1] else ""
            lines.insert(at + 1, f"{form.format(name)}{row}\n")
    return "".join(lines)


def places(text: str, paper: str) -> dict[Place, int]:
    """The lists that name a paper, and the indices of these lines."""
    found: dict[Place, int] = {}
    section = ""
    for at, line in enumerate(text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = _GROUP.sub(_ANY, line)
        if any(paper in _members(group) for group in _GROUP.finditer(line)):
            found[section, _GROUP.sub(_ANY, line)] = at
        head = "|".join(line.split("|")[:2]) + "|" if line.startswith("|") else line
        for form in _FORMS:
            if head == form.format(paper):
                found[section, form] = at
    return found


def _members(group: re.Match[str]) -> list[str]:
    return [word.strip() for word in group[1].split(",")]


def _join(group: re.Match[str], name: str, other: str) -> str:
    members = _members(group)
    return "{" + ", ".join([*members, name]) + "}" if other in members else group[0]
