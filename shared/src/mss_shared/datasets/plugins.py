"""Data sets of other packages, opened by the name under which they are registered.

A package registers one in its pyproject.toml, under the group ``mss_shared.datasets``:

    [project.entry-points."mss_shared.datasets"]
    lab = "lab_songs.opening:open_lab"

From then on ``--data_root lab`` opens it in every command, and ``--data_root lab:live`` its variant
``live``. The value is a callable as `Plugin` describes. It may return a folder, and then its
package need not import ours:

    def open_lab(variant: str, progress: Callable[[str, int, int], None] | None) -> Path:
        return Path("/srv/lab_songs", variant or "studio")

The folder has any layout that `open_dataset` reads; a manifest.json in it tells its name and its
validation tracks (`mss_shared.datasets.manifest`). For other layouts a plugin returns a `Dataset`.
A callable that also has the methods of `Builder` is built by ``mss-data lab`` and its flags.

Names. Those of our own layouts, and ``demo``, which is mss-demo-songs', are taken: an entry of
another package under such a name is passed over, and a warning says so. Two packages under one
name are an error. A plugin comes before a folder of its name in the working folder, which ``./lab``
opens.
"""

from __future__ import annotations

import argparse
import re
import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mss_shared import console
from mss_shared.datasets.tracks import Dataset

GROUP = "mss_shared.datasets"
# Names that are taken, and by which package.
TAKEN = {
    **dict.fromkeys(("aligned", "sourcefolder", "trackfolder_var"), "mss-shared"),
    "demo": "mss-demo-songs",
}

Progress = Callable[[str, int, int], None]


class Plugin(Protocol):
    """What an entry point leads to."""

    def __call__(self, variant: str, progress: Progress | None, /) -> Path | Dataset:
        """Find the data set, or make it.

        Args:
            variant: what follows the colon in ``NAME:VARIANT``, empty without one.
            progress: to be called with (song, songs done, songs in all) while something is made.

        Returns:
            The root folder, or the opened data set.

        Raises:
            Exception: any; its message follows the name of the package in the sentence for the
                user.
        """
        ...


@runtime_checkable
class Builder(Protocol):
    """What ``mss-data NAME`` needs of a plugin besides."""

    def add_flags(self, parser: argparse.ArgumentParser) -> None:
        """Add the flags of ``mss-data NAME``."""
        ...

    def build(self, arguments: argparse.Namespace, progress: Progress | None) -> Path:
        """Make the data set that the flags describe, and return its folder."""
        ...


def open_plugin(name: str, variant: str, progress: Progress | None) -> Path | Dataset | None:
    """What a data set's plugin returns; None if none is registered under the name.

    Raises:
        ModuleNotFoundError: if the name is that of a package which is not installed.
        ValueError: naming the package, if the plugin fails or returns something else.
    """
    entry = find_entry(name)
    if entry is None:
        return None
    plugin = load(entry)
    typed = f"{name}:{variant}" if variant else name
    try:
        found = plugin(variant, progress)
    except Exception as error:
        raise ValueError(f"{package_of(entry)} can't open {typed}: {_words(error)}") from error
    if not isinstance(found, Path | Dataset):
        raise ValueError(
            f"{package_of(entry)} can't open {typed}: {entry.value} returned a "
            f"{type(found).__name__}, and must return a Path or a Dataset"
        )
    if isinstance(found, Path) and not found.is_dir():
        raise ValueError(f"{package_of(entry)} can't open {typed}: {found} is no folder, add it")
    return found


def find_entry(name: str) -> EntryPoint | None:
    """The entry point of a data set's name, None without one.

    Raises:
        ModuleNotFoundError: if the name is that of a package which is not installed.
        ValueError: if two packages have the name.
    """
    entries = list(entry_points(group=GROUP, name=name))
    owner = TAKEN.get(name)
    if owner is not None:
        others = [package_of(entry) for entry in entries if package_of(entry) != owner]
        entries = [entry for entry in entries if package_of(entry) == owner]
        if others:
            warnings.warn(
                f"the data set {name} of {' and '.join(others)} is passed over: the name is "
                f"{owner}'s",
                stacklevel=2,
            )
        if not entries and owner != "mss-shared":
            raise ModuleNotFoundError(
                f"the data set {name} comes with the package {owner}, which is not installed: "
                f"pip install {owner}",
                name=owner,
            )
    if len(entries) > 1:
        packages = " and ".join(sorted(package_of(entry) for entry in entries))
        raise ValueError(f"{packages} both have a data set {name}: uninstall one of them")
    return entries[0] if entries else None


def missing_package(data_root: str) -> str | None:
    """The package that what is typed after ``--data_root`` needs and that is not installed."""
    try:
        find_entry(data_root.partition(":")[0])
    except ModuleNotFoundError as error:
        return error.name
    return None


def load(entry: EntryPoint) -> Any:
    """What an entry point leads to.

    Raises:
        ValueError: naming the package, if it can't be imported.
    """
    try:
        return entry.load()
    except Exception as error:
        raise ValueError(
            f"the data set {entry.name} of {package_of(entry)} can't be loaded from {entry.value} "
            f"({_words(error)}): install the package anew"
        ) from error


def find_builder(name: str) -> Builder:
    """The plugin of a name, which builds its data set.

    Raises:
        ModuleNotFoundError: if the name is that of a package which is not installed.
        ValueError: if there is no such plugin, or it builds nothing.
    """
    entry = find_entry(name)
    plugin = None if entry is None else load(entry)
    if not isinstance(plugin, Builder):
        raise ValueError(
            f"the data set {name} is not one to build: open it with --data_root {name}"
        )
    return plugin


def names() -> list[str]:
    """What can be typed after ``--data_root``, as far as packages have registered it."""
    layouts = {name for name, owner in TAKEN.items() if owner == "mss-shared"}
    return sorted({entry.name for entry in entry_points(group=GROUP)} - layouts | {"demo"})


def package_of(entry: EntryPoint) -> str:
    """The name of the distribution that registered an entry point."""
    return re.sub(r"[-_.]+", "-", entry.dist.name).lower() if entry.dist else "an unknown package"


def _words(error: Exception) -> str:
    """An error in words; what is not meant for a user keeps its class."""
    if isinstance(error, ValueError | OSError | ImportError | RuntimeError):
        return console.sentence(error)
    return f"{type(error).__name__}: {console.sentence(error)}"
