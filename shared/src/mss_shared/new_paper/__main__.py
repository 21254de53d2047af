"""``python -m mss_shared.new_paper``: begin a package and register it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mss_shared import console
from mss_shared.cli.parser import Parser
from mss_shared.new_paper.package import begin_package
from mss_shared.new_paper.registry import FILES

NEXT = """packages/{name} is written, and its lines in {files}. Now:
    pip install -c shared/constraints.txt -e './packages/{name}[train]'
    git add packages/{name} && python -m pytest packages/{name} shared/tests/test_house.py
    {command} demo
then put the paper in its place, by shared/docs/add_a_paper.md."""


def main(words: Sequence[str] | None = None) -> None:
    """Write ``packages/NAME``."""
    parser = Parser(
        prog="python -m mss_shared.new_paper",
        description="Write a package for a new paper, with a small U-Net in the network's place.",
    )
    parser.add_argument("name", help="import name: lower-case letters, digits, single underscores")
    parser.add_argument("--repo", type=Path, default=Path(), help="the repository's folder (.)")
    arguments = parser.parse_args(words)
    with console.one_sentence_errors(parser.prog):
        begin_package(arguments.repo, arguments.name)
        command = arguments.name.replace("_", "-")
        console.say(NEXT.format(name=arguments.name, command=command, files=", ".join(FILES)))


if __name__ == "__main__":
    main()
