"""Data sets of other packages, opened by the name under which they are registered.

A package registers a data set in its pyproject.toml, in the group ``mss_shared.datasets``:

    [project.entry-points."mss_shared.datasets"]
    lab = "lab_songs.opening:open_lab"

Every command then opens it with ``--data_root lab``, and its variant ``live`` with ``--data_root
lab:live``. The entry point is a callable, see `Plugin`. If it returns a folder, its package need
not import ours:

    def open_lab(variant: str, progress: Callable[[str, int, int], None] | None) -> Path:
        return Path("/srv/lab_songs", variant or "studio")

The folder may have any layout that `open_dataset` reads; a manifest.json in it gives its name and
its validation tracks (`mss_shared.datasets.manifest`). For other layouts a plugin returns a
`Dataset`. If the callable also has the methods of `Builder`, ``mss-data lab`` builds the data set.

Names. The names of our own layouts, and ``demo``, which belongs to mss-demo-songs, are reserved: an
entry point of another package under such a name is ignored with a warning. Two packages with the
same name are an error. A plugin takes precedence over a folder of its name in the working
directory, which ``./lab`` opens.
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
# Reserved names, and the packages they belong to.
RESERVED = {
    **dict.fromkeys(("aligned", "sourcefolder", "trackfolder_var", "musdb18_7s"), "mss-shared"),
    **dict.fromkeys(("dsd100", "moisesdb", "slakh2100"), "mss-shared"),
    **dict.fromkeys(("check", "info"), "mss-shared"),  # the other verbs of mss-data
    "demo": "mss-demo-songs",
}
# No index has our packages: what is not installed comes from its folder in the repository.
FOLDERS = {"mss-demo-songs": "./shared/demo_songs", "mss-results": "./results"}

Progress = Callable[[str, int, int], None]


class Plugin(Protocol):
    """The callable behind an entry point."""

    def __call__(self, variant: str, progress: Progress | None, /) -> Path | Dataset:
        """Find the data set, or make it.

        Args:
            variant: what follows the colon in ``NAME:VARIANT``, empty without one.
            progress: to be called with (song, songs done, songs in all) while songs are made.

        Returns:
            The root folder, or the opened data set.

        Raises:
            Exception: any; the user is shown the name of the package and this message.
        """
        ...


@runtime_checkable
class Builder(Protocol):
    """A plugin that ``mss-data NAME`` can build."""

    def add_flags(self, parser: argparse.ArgumentParser) -> None:
        """Add the flags of ``mss-data NAME``."""
        ...

    def build(self, arguments: argparse.Namespace, progress: Progress | None) -> Path:
        """Make the data set that the flags describe, and return its folder."""
        ...


def open_plugin(name: str, variant: str, progress: Progress | None) -> Path | Dataset | None:
    """Call the plugin of that name; None if there is none.

    Raises:
        ModuleNotFoundError: if the name belongs to a package that is not installed.
        ValueError: naming the package, if the plugin fails or returns something else.
    """
    entry = find_entry(name)
    if entry is None:
        return None
    plugin = load_plugin(entry)
    typed = f"{name}:{variant}" if variant else name
    try:
        opened = plugin(variant, progress)
    except Exception as error:
        raise ValueError(
            f"{get_package_name(entry)} can't open {typed}: {_describe(error)}"
        ) from error
    if not isinstance(opened, Path | Dataset):
        raise ValueError(
            f"{get_package_name(entry)} can't open {typed}: {entry.value} returned a "
            f"{type(opened).__name__}, and must return a Path or a Dataset"
        )
    if isinstance(opened, Path) and not opened.is_dir():
        raise ValueError(
            f"{get_package_name(entry)} can't open {typed}: {opened} is not a folder, create it"
        )
    return opened


def find_entry(name: str) -> EntryPoint | None:
    """The entry point of that name; None if there is none.

    Raises:
        ModuleNotFoundError: if the name belongs to a package that is not installed.
        ValueError: if two packages have the name.
    """
    entries = list(entry_points(group=GROUP, name=name))
    owner = RESERVED.get(name)
    if owner is not None:
        others = [get_package_name(entry) for entry in entries if get_package_name(entry) != owner]
        entries = [entry for entry in entries if get_package_name(entry) == owner]
        if others:
            warnings.warn(
                f"the data set {name} of {' and '.join(others)} is ignored: the name is reserved "
                f"for {owner}",
                stacklevel=2,
            )
        if not entries and owner != "mss-shared":
            raise ModuleNotFoundError(
                f"the data set {name} comes with the package {owner}, which is not installed: "
                f"pip install {FOLDERS[owner]}, in the repository",
                name=owner,
            )
    if len(entries) > 1:
        packages = " and ".join(sorted(get_package_name(entry) for entry in entries))
        raise ValueError(f"{packages} both have a data set {name}: uninstall one of them")
    return entries[0] if entries else None


def missing_package(data_root: str) -> str | None:
    """The package that a ``--data_root`` needs and that is not installed; None if all is there."""
    try:
        find_entry(data_root.partition(":")[0])
    except ModuleNotFoundError as error:
        return error.name
    return None


def load_plugin(entry: EntryPoint) -> Any:
    """Import the callable behind an entry point.

    Raises:
        ValueError: naming the package, if it can't be imported.
    """
    try:
        return entry.load()
    except Exception as error:
        raise ValueError(
            f"the data set {entry.name} of {get_package_name(entry)} can't be loaded from "
            f"{entry.value} ({_describe(error)}): reinstall the package"
        ) from error


def find_builder(name: str) -> Builder:
    """The plugin of that name, which must be one that builds its data set.

    Raises:
        ModuleNotFoundError: if the name belongs to a package that is not installed.
        ValueError: if there is no such plugin, or it builds nothing.
    """
    entry = find_entry(name)
    plugin = None if entry is None else load_plugin(entry)
    if not isinstance(plugin, Builder):
        raise ValueError(f"the data set {name} has nothing to build: open it as {name}")
    return plugin


def list_names() -> list[str]:
    """The names of data sets that installed packages have registered, and ``demo``."""
    layouts = {name for name, owner in RESERVED.items() if owner == "mss-shared"}
    return sorted({entry.name for entry in entry_points(group=GROUP)} - layouts | {"demo"})


def get_package_name(entry: EntryPoint) -> str:
    """The name of the distribution that registered an entry point."""
    return re.sub(r"[-_.]+", "-", entry.dist.name).lower() if entry.dist else "an unknown package"


def _describe(error: Exception) -> str:
    """The error's message; an exception that was not meant for users keeps its class name."""
    if isinstance(error, ValueError | OSError | ImportError | RuntimeError):
        return console.sentence(error)
    return f"{type(error).__name__}: {console.sentence(error)}"
