"""``python -m mss_shared.conformance``: rewrite the sheets of the repository's packages."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from mss_shared import atomic, console
from mss_shared.cli.parser import Parser


def main(words: Sequence[str] | None = None) -> None:
    """Write ``CONFORMANCE.md`` of all packages, or of those named."""
    parser = Parser(prog="python -m mss_shared.conformance")
    parser.add_argument("packages", nargs="*", help="names of papers; default: all")
    parser.add_argument("--repo", type=Path, default=Path(), help="the repository's folder")
    parser.add_argument(
        "--measure", action="store_true", help="compare the frozen outputs anew before"
    )
    parser.add_argument(
        "--operations", action="store_true", help="count the demo models' operations anew, too"
    )
    arguments = parser.parse_args(words)
    with console.one_sentence_errors(parser.prog):
        write_sheets(
            arguments.repo, arguments.packages, arguments.measure, count=arguments.operations
        )


def write_sheets(repo: Path, names: Sequence[str], anew: bool, *, count: bool = False) -> None:
    """Write the sheets.

    Args:
        repo: the repository's folder.
        names: of packages; all if empty.
        anew: compare the frozen outputs first.
        count: also write what the demo models do, for ``check_operations``.

    Raises:
        FileNotFoundError: if a package, or every one, has no ``conformance.yaml``.
    """
    from mss_shared.conformance.facts import measure, write_sizes
    from mss_shared.conformance.operations import write_operations
    from mss_shared.conformance.sheet import conformance_sheet
    from mss_shared.conformance.sizes import count_all

    known = {path.parent.name: path.parent for path in repo.glob("packages/*/conformance.yaml")}
    if not known:
        raise FileNotFoundError(
            f"there is no packages/*/conformance.yaml in {repo.absolute()}: give the repository's "
            f"folder by --repo"
        )
    for name in names or sorted(known):
        if name not in known:
            raise FileNotFoundError(
                f"there is no {repo / 'packages' / name / 'conformance.yaml'}: choose from "
                f"{', '.join(sorted(known))}"
            )
        if anew:
            measure(known[name])
        paper = import_module(f"{name}.paper").PAPER
        if count:
            write_operations(paper, known[name])
        write_sizes(known[name], count_all(paper))
        text = conformance_sheet(paper, known[name])
        atomic.write_text(known[name] / "CONFORMANCE.md", text)
        console.say(f"{known[name] / 'CONFORMANCE.md'} written")


if __name__ == "__main__":
    main()
