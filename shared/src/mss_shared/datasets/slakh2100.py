"""Slakh2100 as it comes: a stem per instrument, summed by class without a copy.

    root/{train,validation,test}/<track>/mix.flac
    root/{train,validation,test}/<track>/stems/S00.flac, ...
    root/{train,validation,test}/<track>/metadata.yaml      the class of each stem

Stems are the classes in lower case: ``bass``, ``drums``, ``guitar``, ``piano``, ``synth_lead``, ...
A class that a track lacks is silence. ``omitted/`` is passed over. Sound may be wav, as in
BabySlakh, whose tracks lie in the root: they are then test tracks.
"""

from __future__ import annotations

import re
from pathlib import Path

from mss_shared import audio
from mss_shared.datasets import folders, tree
from mss_shared.datasets.tracks import Dataset, Sum, Track
from mss_shared.small_files import read_small_file

_STEM = re.compile(r"\s+(S\d+):\s*")
_FIELD = re.compile(r"\s+(inst_class|audio_rendered):\s*['\"]?(.*?)['\"]?\s*")


def read_slakh2100(root: Path) -> Dataset:
    """Open Slakh2100; reads the headers of the mixtures only.

    Raises:
        ValueError: if a track lacks its mixture, its metadata or a stem.
    """
    dataset = folders.read_listed("slakh2100", root, find(root), read_track)
    return folders.with_all_stems(dataset)


def find(root: Path) -> dict[str, list[Path]]:
    """The track folders of each split; those in the root, if it has no splits."""
    splits = tree.find_splits(root) or {"test": root}
    return {
        split: [path for path in sorted(folder.iterdir()) if (path / "metadata.yaml").is_file()]
        for split, folder in splits.items()
    }


def read_track(folder: Path) -> Track:
    """Open one track; the files of a class are one stem.

    Raises:
        ValueError: if its mixture, its metadata or a stem is missing.
    """
    files = folders.find_stem_files(folder)
    if "mix" not in files:
        raise ValueError(f"{folder} has no mix.flac: copy it from the original")
    there = folders.find_stem_files(folder / "stems") if (folder / "stems").is_dir() else {}
    by_class: dict[str, list[Path]] = {}
    for name, family in _read_classes(folder / "metadata.yaml").items():
        if name not in there:
            raise ValueError(f"{folder}/stems has no {name}.flac: copy it from the original")
        by_class.setdefault(family, []).append(there[name])
    if not by_class:
        raise ValueError(f"{folder}/metadata.yaml lists no stems: copy it from the original")
    stems = {family: Sum.of(*paths) for family, paths in sorted(by_class.items())}
    return Track(folder.name, stems, files["mix"], audio.info(files["mix"]))


def _read_classes(path: Path) -> dict[str, str]:
    """Stem to its class, of the stems that were rendered.

    The file is YAML of one form; only its lines ``S00:``, ``inst_class:`` and ``audio_rendered:``
    are looked at.
    """
    found: dict[str, str] = {}
    left_out = set()
    stem = ""
    for line in read_small_file(path).decode("utf-8", errors="replace").splitlines():
        if begins := _STEM.fullmatch(line):
            stem = begins[1]
        elif (value := _FIELD.fullmatch(line)) and stem:
            if value[1] == "inst_class":
                found[stem] = _name_class(value[2])
            elif value[2] == "false":
                left_out.add(stem)
    return {name: family for name, family in found.items() if name not in left_out}


def _name_class(text: str) -> str:
    """``Strings (continued)`` is strings, ``Synth Lead`` synth_lead."""
    plain = text.lower().replace("(continued)", "").strip()
    return re.sub(r"[^a-z0-9]+", "_", plain) or "other"
