"""A folder per stem, each with any sound files; files of different stems are unrelated.

    root/train/vocals/*.wav
    root/train/drums/*.wav
    root/valid/vocals/*.wav            optional; without it every tenth training track is held out
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
    splits = {split: _read_split(tracks) for split, tracks in find_stem_folders(root).items()}
    stems = {frozenset(track.stems) for tracks in splits.values() for track in tracks}
    if len(stems) > 1:
        listed = " and ".join(sorted(", ".join(sorted(names)) for names in stems))
        raise ValueError(f"the splits of {root} have {listed}: give each the same stem folders")
    return folders.with_validation(
        Dataset(
            folders.get_dataset_name(root), root, splits["train"], splits["valid"], splits["test"]
        )
    )


def find_stem_folders(root: Path) -> dict[str, list[Path]]:
    """``train``, ``valid`` and ``test`` to their stem folders."""
    found = tree.find_splits(root)
    return {
        split: folders.find_track_folders(found[split]) if split in found else []
        for split in folders.SPLITS
    }


def _read_split(paths: Sequence[Path]) -> tuple[Track, ...]:
    files = {path.name: _by_length(path) for path in paths}
    count = max((len(of_stem) for of_stem in files.values()), default=0)
    return tuple(
        _make_track(paths[0].parent, index, {stem: f[index % len(f)] for stem, f in files.items()})
        for index in range(count)
    )


def _by_length(folder: Path) -> list[File]:
    files = [(path, audio.info(path)) for path in folders.find_stem_files(folder).values()]
    return sorted(files, key=lambda file: (-file[1].samples, file[0].name))


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
