"""A folder per stem, each with any sound files; files of different stems are unrelated.

    root/train/vocals/*.wav
    root/train/drums/*.wav
    root/valid/vocals/*.wav            optional; without it every tenth file is held out
    root/test/...                      optional

Tracks are made by sorting the files of each stem by length: the longest of each stem, the second
longest, and so on; a stem with fewer files starts over. A track is as long as its shortest file.
With ``random_mix_prob: 1.0`` a recipe draws every stem from a different track.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mss_shared import audio
from mss_shared.audio import AudioInfo
from mss_shared.datasets import folders, tree
from mss_shared.datasets.tracks import Dataset, Track

File = tuple[Path, AudioInfo]


def read_sourcefolder(root: Path) -> Dataset:
    """Open a folder of stem folders.

    Raises:
        ValueError: if files differ in rate or channels, or the splits have different stems.
    """
    found = {split: _list_files(paths) for split, paths in find_stem_folders(root).items()}
    if not found["valid"] and max(map(len, found["train"].values()), default=0) > 1:
        found["train"], found["valid"] = _hold_out(found["train"])
    stems = {frozenset(files) for files in found.values() if files}
    if len(stems) > 1:
        listed = " and ".join(sorted(", ".join(sorted(names)) for names in stems))
        raise ValueError(f"the splits of {root} have {listed}: give each the same stem folders")
    splits = {split: _make_tracks(root / split, files) for split, files in found.items()}
    name = folders.get_dataset_name(root)
    return Dataset(name, root, splits["train"], splits["valid"], splits["test"])


def find_stem_folders(root: Path) -> dict[str, list[Path]]:
    """``train``, ``valid`` and ``test`` to their stem folders."""
    found = tree.find_splits(root)
    return {
        split: folders.find_track_folders(found[split]) if split in found else []
        for split in folders.SPLITS
    }


def _list_files(paths: Sequence[Path]) -> dict[str, list[File]]:
    """Stem to its files, the longest first."""
    files: dict[str, list[File]] = {}
    for path in paths:
        of_stem = [(file, audio.info(file)) for file in folders.find_stem_files(path).values()]
        files[path.name] = sorted(of_stem, key=lambda file: (-file[1].samples, file[0].name))
    return files


def _hold_out(files: dict[str, list[File]]) -> tuple[dict[str, list[File]], dict[str, list[File]]]:
    """Every tenth file of each stem for validation, the others for training.

    A stem's only file is in both; training then refuses to use it.
    """
    held = {stem: of_stem[::10] for stem, of_stem in files.items()}
    kept = {
        stem: [file for n, file in enumerate(of_stem) if n % 10] or of_stem
        for stem, of_stem in files.items()
    }
    return kept, held


def _make_tracks(folder: Path, files: dict[str, list[File]]) -> tuple[Track, ...]:
    count = max(map(len, files.values()), default=0)
    return tuple(
        _make_track(folder, index, {stem: f[index % len(f)] for stem, f in files.items()})
        for index in range(count)
    )


def _make_track(folder: Path, index: int, files: dict[str, File]) -> Track:
    infos = {stem: info for stem, (_, info) in files.items()}
    formats = {stem: (info.sample_rate, info.channels) for stem, info in infos.items()}
    if len(set(formats.values())) > 1:
        listed = ", ".join(f"{stem} {rate} Hz x {c}" for stem, (rate, c) in formats.items())
        raise ValueError(f"files below {folder} differ, {listed}: convert them to one format")
    first = next(iter(infos.values()))
    info = replace(first, samples=min(info.samples for info in infos.values()))
    if not info.samples:
        empty = next(path for path, info in files.values() if not info.samples)
        raise ValueError(f"{empty} is empty, it has 0 samples: remove it")
    stems = {stem: path for stem, (path, _) in files.items()}
    return Track(f"{index:05d}", stems, None, info)
