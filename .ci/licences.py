"""The licences of all that each distribution and extra of ours installs, as a Markdown table.

A package stands in the first row of an install that brings it; later rows say what they add.
"""

from __future__ import annotations

from importlib import metadata

from closure import PROJECTS, closure


def licence(name: str) -> str:
    """As its metadata state it: the expression, or the classifiers, or the first line of text."""
    about = metadata.metadata(name)
    kinds = [each for each in about.get_all("Classifier") or () if each.startswith("License ::")]
    named = "; ".join(kind.split(" :: ")[-1] for kind in kinds)
    text = str(about.get("License") or "").strip().splitlines()
    return str(about.get("License-Expression") or named or (text or ["not stated"])[0])


def installs() -> list[str]:
    """Every distribution, alone and with each extra."""
    extras = {name: PROJECTS[name].get("optional-dependencies", {}) for name in PROJECTS}
    return [one for name in PROJECTS for one in (name, *(f"{name}[{e}]" for e in extras[name]))]


def main() -> None:
    """Print the table; a package that is not installed here is named as that."""
    print("| install | package | version | licence |\n| --- | --- | --- | --- |")
    shown: set[str] = set()
    for install in installs():
        try:
            names = sorted(closure(install) - shown - set(PROJECTS))
        except metadata.PackageNotFoundError as missing:
            print(f"| {install} | {missing.name} | not installed | |")
            continue
        for name in names:
            print(f"| {install} | {name} | {metadata.version(name)} | {licence(name)} |")
        shown |= set(names)


if __name__ == "__main__":
    main()
