"""Any folder of track folders, including MUSDB18-HQ's layout.

    root/train/<track>/{mixture,vocals,drums,bass,other}.wav
    root/valid/<track>/...      optional; without it every tenth training track is held out
    root/test/<track>/...

The mixture file is optional, stems may have any names, files may be wav or flac. If the root itself
holds track folders, they are all test tracks. Open-Unmix calls this layout ``trackfolder_fix``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mss_shared import audio
from mss_shared.audio import AudioInfo
from mss_shared.datasets.tracks import Dataset, Track
from mss_shared.names import name_like

SUFFIXES = (".wav", ".flac")
SPLITS = ("train", "valid", "test")


def read(root: Path, name: str, faults: dict[str, str] | None = None) -> Dataset:
    """List the tracks of a folder; reads headers only.

    Args:
        root: the folder.
        name: the data set's name.
        faults: if given, broken test tracks are left out and added here, name to fault.

    Raises:
        ValueError: if there is no track folder, a file is unreadable, or the files of one track
            differ in length, rate or channels.
    """
    splits = {split: _read_split(root / split) for split in ("train", "valid")}
    splits["test"] = _read_split(root / "test", faults)
    if not any(splits.values()) and not faults:
        splits["test"] = _read_split(root, faults)
    if not any(splits.values()) and not faults:
        raise ValueError(
            f"no track folders under {root}: --data_root must hold train/ and test/ with one "
            f"folder per track, each with a wav file per stem"
        )
    return with_validation(Dataset(name, root, splits["train"], splits["valid"], splits["test"]))


def with_validation(dataset: Dataset) -> Dataset:
    """Hold out every tenth training track if the data set has no validation tracks."""
    if not dataset.valid and len(dataset.train) > 1:
        return hold_out(dataset, tuple(track.name for track in dataset.train[::10]))
    return dataset


def get_dataset_name(root: Path) -> str:
    """The name of a folder in tables."""
    return name_like(root.resolve().name, "folder")


def hold_out(dataset: Dataset, names: tuple[str, ...]) -> Dataset:
    """Make the named tracks the validation split, and all others the training split."""
    tracks = sorted((*dataset.train, *dataset.valid), key=lambda track: track.name)
    valid = tuple(track for track in tracks if track.name in names)
    train = tuple(track for track in tracks if track.name not in names)
    return replace(dataset, train=train, valid=valid)


def find_stem_files(folder: Path) -> dict[str, Path]:
    """Stem (or ``mixture``) to its sound file in a track's folder; wav takes precedence."""
    files: dict[str, Path] = {}
    for suffix in SUFFIXES:
        for path in sorted(folder.glob(f"*{suffix}")):
            if not path.name.startswith("."):
                files.setdefault(path.stem, path)
    return files


def find_track_folders(folder: Path) -> list[Path]:
    """The folders directly below that hold at least one sound file, sorted by name."""
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and find_stem_files(path)]


def _read_split(folder: Path, faults: dict[str, str] | None = None) -> tuple[Track, ...]:
    tracks = []
    for path in find_track_folders(folder):
        try:
            tracks.append(read_track(path))
        except ValueError as error:
            if faults is None:
                raise
            faults[path.name] = " ".join(str(error).split())
    return tuple(tracks)


def read_track(folder: Path) -> Track:
    """Open one track folder; ValueError if its files differ in length, rate or channels."""
    files = find_stem_files(folder)
    infos = {stem: audio.info(path) for stem, path in files.items()}
    stems = {stem: path for stem, path in files.items() if stem != "mixture"}
    if not stems:
        raise ValueError(f"{folder} holds a mixture but no stems: add one wav file per stem")
    first = next(iter(stems))
    for stem, info in infos.items():
        if _shape(info) != _shape(infos[first]):
            raise ValueError(
                f"{folder}: {stem} has {_describe(info)}, {first} has {_describe(infos[first])}: "
                f"all files of a track must agree (mss-data check lists every track)"
            )
    return Track(folder.name, stems, files.get("mixture"), infos[first])


def _shape(info: AudioInfo) -> tuple[int, int, int]:
    return info.samples, info.sample_rate, info.channels


def _describe(info: AudioInfo) -> str:
    return f"{info.samples} samples at {info.sample_rate} Hz in {info.channels} channels"
