"""A folder whose ``manifest.json`` gives its name and its validation tracks.

    root/manifest.json                 {"name": "lab_live", "validation": ["01-song", "07-song"]}
    root/{train,test}/<track>/...      as `mss_shared.datasets.folders` reads them

Tracks in ``valid/`` are validation tracks as well, whether they are named or not.
Other fields are up to whoever makes the folder, but the files that ``sha256`` lists are known to
belong there, whether they are songs or not. The demo songs come with a manifest, which lists a song
in ``edge/`` that is none of theirs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from mss_shared.datasets import folders
from mss_shared.datasets.tracks import Dataset
from mss_shared.json_text import read_json_object
from mss_shared.names import check_name, shorten

MANIFEST = "manifest.json"


def has_manifest(root: Path) -> bool:
    """Whether a folder has a manifest."""
    return (root / MANIFEST).is_file()


def read_with_manifest(
    root: Path, faults: dict[str, str] | None = None, reader: folders.Reader | None = None
) -> Dataset:
    """Open a folder that has a manifest; ``faults`` and ``reader`` are as in `folders.read`.

    Raises:
        ValueError: if the manifest is not a JSON object, has no valid name or no list of
            validation tracks, or the tracks are faulty.
    """
    path, manifest = root / MANIFEST, read_manifest(root)
    name, validation = manifest.get("name"), manifest.get("validation")
    if not isinstance(validation, list):
        raise ValueError(
            f"the field validation of {path} is {shorten(validation)}: it must be a list of track "
            f"names"
        )
    name = check_name(name, f"the field name of {path}")
    dataset = folders.read(root, name, faults, reader=reader)
    listed = manifest.get("sha256")
    if isinstance(listed, dict):  # by whoever made the folder: what it names is no surprise
        unheard = tuple(
            p for p in dataset.unheard if not any(f.startswith(f"{p}/") for f in listed)
        )
        dataset = replace(dataset, unheard=unheard)
    known = {track.name for track in (*dataset.train, *dataset.valid)}
    for track in validation:
        if not isinstance(track, str) or track not in known:
            raise ValueError(
                f"the field validation of {path} names {shorten(track)}, which is none of the "
                f"{len(known)} tracks in train/: correct or remove it"
            )
    return folders.hold_out(dataset, tuple(validation))


def read_manifest(root: Path) -> dict[str, Any]:
    """The manifest of a folder that has one.

    Raises:
        ValueError: if it is not a JSON object.
    """
    path = root / MANIFEST
    return read_json_object(path, "give it the fields name and validation, or remove it")
