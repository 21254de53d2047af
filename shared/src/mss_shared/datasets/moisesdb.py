"""MoisesDB as it comes: a folder per stem, whose files are summed without a copy.

    root/<provider>/<track>/data.json                 the files of each stem
    root/<provider>/<track>/<stem>/<file>.wav

Stems are those of data.json: ``vocals``, ``drums``, ``bass``, ``guitar``, ``other_keys``, ...; one
that a song lacks is silence. A file that ends early is followed by silence, and a mono file is in
both channels. Tracks are named for their folders, as titles repeat. There are no splits: every
tenth track is for validation, all others for training; the root may also be a provider's folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mss_shared import audio
from mss_shared.audio import AudioInfo
from mss_shared.datasets import folders, tree
from mss_shared.datasets.converted import ConvertedTrack, longest
from mss_shared.datasets.tracks import Dataset, Sum, Track
from mss_shared.json_text import read_json
from mss_shared.names import check_file_name, inside, shorten


def read_moisesdb(root: Path) -> Dataset:
    """Open MoisesDB; reads headers only.

    Raises:
        ValueError: if data.json of a track can't be understood, or a file is missing or unreadable.
    """
    dataset = folders.read_listed("moisesdb", root, find(root), read_track)
    return folders.with_all_stems(dataset)


def find(root: Path) -> dict[str, list[Path]]:
    """The track folders: those with a data.json, one or two levels down."""
    tracks = [path for each in (root, *_folders(root)) for path in _folders(each)]
    return {"train": sorted(path for path in tracks if (path / "data.json").is_file())}


def _folders(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.iterdir()) if p.is_dir() and not tree.is_hidden(p.name)]


def read_track(folder: Path) -> Track:
    """Open one track, which is as long as its longest file.

    Raises:
        ValueError: if data.json can't be understood, or a file is missing, unreadable or of another
            rate.
    """
    files = _list_files(folder)
    infos: dict[Path, AudioInfo] = {p: audio.info(p) for paths in files.values() for p in paths}
    info = longest(folder, infos)
    stems = {stem: Sum.of(*paths) for stem, paths in sorted(files.items())}
    return ConvertedTrack(folder.name, stems, None, info, infos)


def _list_files(folder: Path) -> dict[str, list[Path]]:
    """Stem to its files, as data.json lists them."""
    path = folder / "data.json"
    try:
        values: Any = read_json(path)
        listed = [
            (stem["stemName"], [(each["id"], each["extension"]) for each in stem["tracks"]])
            for stem in values["stems"]
        ]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is no list of stems and their files ({shorten(str(error))}): copy it from the "
            f"original"
        ) from None
    files: dict[str, list[Path]] = {}
    for stem, names in listed:
        check_file_name(stem, f"a stem in {path}")
        paths = [inside(folder, stem, f"{name}.{suffix}") for name, suffix in names]
        files.setdefault(stem, []).extend(paths)
    if not any(files.values()):
        raise ValueError(f"{path} lists no files: copy it from the original")
    return {stem: paths for stem, paths in files.items() if paths}
