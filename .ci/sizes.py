"""How much each distribution and extra of ours puts on the disk, as a Markdown table.

A package counts in the first row of an install that brings it; later rows say what they add. Sizes
are those of the files that the packages list, compiled ones included, as they are installed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from closure import PROJECTS, closure
from licences import installs

OWN = set(PROJECTS)


def size(name: str) -> int:
    """The bytes of a distribution's files that are there."""
    places = [Path(str(each.locate())) for each in metadata.files(name) or ()]
    return sum(place.stat().st_size for place in places if place.is_file())


def rows() -> Iterator[tuple[str, int, float, str]]:
    """Per install that adds something: packages and megabytes that it adds, and the largest."""
    shown: set[str] = set()
    for install in sorted(installs(), key=lambda each: not each.startswith("mss-shared")):
        try:
            names = sorted(closure(install) - shown - OWN)
        except metadata.PackageNotFoundError as missing:
            yield install, 0, 0.0, f"{missing.name} is not installed here"
            continue
        shown |= set(names)
        sizes = {name: size(name) / 1e6 for name in names}
        if sizes:
            largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
            said = ", ".join(f"{name} {sizes[name]:.0f}" for name in largest)
            yield install, len(names), sum(sizes.values()), said


def main() -> None:
    """Print the table."""
    print("| install | packages | MB | the largest |\n| --- | --- | --- | --- |")
    for install, packages, megabytes, largest in rows():
        print(f"| `{install}` | {packages} | {megabytes:.0f} | {largest} |")


if __name__ == "__main__":
    main()
