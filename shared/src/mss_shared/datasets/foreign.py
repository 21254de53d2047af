"""Folders that are laid out as other data sets are: recognised, and refused by name.

Read as track folders they would give songs that are none, or mixtures as stems.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mss_shared.datasets import tree

_LOOKED_AT = 40  # folders of each level; data sets are laid out the same throughout
_ROLES = frozenset(
    (
        *("vocals", "drums", "bass", "other", "mixture", "mix", "accompaniment", "instrumental"),
        *("speech", "noise", "music", "piano", "guitar", "s1", "s2", "s3", "mix_both"),
        *("mix_clean", "mix_single", "clean", "noisy"),
    )
)


def refuse(root: Path) -> None:
    """Raise ValueError if a folder looks like another layout than `mss_shared.datasets.folders`.

    Raises:
        ValueError: with the name of the layout and how it is read, if it can be.
    """
    found = recognise(root)
    if found is not None:
        name, why, advice = found
        raise ValueError(f"{root} looks like {name} ({why}): {advice}")


def recognise(root: Path) -> tuple[str, str, str] | None:
    """The name of the layout, what shows it, and what to do; None for any other folder."""
    if {"mixtures", "sources"} <= {path.name.lower() for path in _folders(root)}:
        return "DSD100", "Mixtures/ beside Sources/", f"open it as dsd100:{root}"
    loose = next((path for path in _entries(root) if tree.is_stem_mp4(path)), None)
    if loose is not None and not tree.find_splits(root):
        return (
            "MUSDB18 without its splits",
            f"{loose.name} lies in it",
            "put the files into train/ and test/ as they come, and pass the folder of both",
        )
    return _recognise_by_folders(root) or _recognise_by_tracks(root)


def _recognise_by_folders(root: Path) -> tuple[str, str, str] | None:
    """Whether what should be tracks are stems, each with its own files."""
    places = [root, *_folders(root)]
    for place in places:
        names = {path.name.lower() for path in _folders(place) if tree.find_stem_files(path)}
        if len(names) > 1 and names <= _ROLES:
            listed = ", ".join(f"{name}/" for name in sorted(names))
            return (
                "a folder per stem, not per song",
                f"{place.name}/ holds {listed}",
                f"open unrelated files as sourcefolder:{root}, or give each song a folder",
            )
    return None


def _recognise_by_tracks(root: Path) -> tuple[str, str, str] | None:
    for track in _tracks(root):
        files = [path.name for path in _entries(track) if path.suffix.lower() in tree.SUFFIXES]
        inside = {path.name.lower() for path in _folders(track)}
        stems = {Path(name).stem.lower() for name in files}
        if "mix" in stems and "stems" in inside:
            why = f"{track.name} holds a mix beside stems/"
            return "Slakh2100", why, f"open it as slakh2100:{root}"
        if (track / "data.json").is_file() and inside:
            why = f"{track.name} holds data.json and a folder per stem"
            return "MoisesDB", why, f"open it as moisesdb:{root}"
        mix = next((name for name in files if re.search(r"_MIX\.\w+$", name)), None)
        if mix is not None:
            return "MedleyDB", f"{track.name} holds {mix}", _give_each_song("stems")
        source = next(
            (name for name in files if re.match(r"source[-_ ]?\d+\.", name.lower())), None
        )
        if "mix" in stems and source is not None:
            why = f"{track.name} holds a mix and {source}"
            return "ccMixter", why, _give_each_song("sources")
    return None


def _give_each_song(parts: str) -> str:
    return (
        f"no command reads that: give each song a folder with mixture.wav and its {parts}, named "
        f"vocals.wav and so on"
    )


def _tracks(root: Path) -> Iterator[Path]:
    """Folders that could be songs, up to two levels down."""
    for path in _folders(root):
        yield path
        yield from _folders(path)


def _folders(folder: Path) -> list[Path]:
    """The folders in one that can be entered; of the others whoever reads them says so."""
    may_enter = os.R_OK | os.X_OK
    found = [path for path in _entries(folder) if os.path.isdir(path)]
    return [path for path in found if os.access(path, may_enter)][:_LOOKED_AT]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not tree.is_hidden(path.name))
    except OSError:
        return []
