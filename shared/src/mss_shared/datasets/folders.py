"""Any folder of track folders, MUSDB18-HQ's layout among them.

    root/train/<track>/{mixture,vocals,drums,bass,other}.wav
    root/valid/<track>/...      optional; without it every tenth training track is held out
    root/test/<track>/...

The mixture file is optional, stems may be any names, files may be wav or flac. A root whose own
children are track folders is read as test tracks alone. Open-Unmix's users know it as
``trackfolder_fix``.
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
    """List the tracks of a folder by reading headers only.

    Args:
        root: the folder.
        name: the data set's.
        faults: if given, a broken test track is left out and its name and fault are put here.

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
    return with_validation(Dataset(name, root, **splits))


def with_validation(dataset: Dataset) -> Dataset:
    """The data set; if it has no validation tracks, every tenth training track becomes one."""
    if not dataset.valid and len(dataset.train) > 1:
        return hold_out(dataset, tuple(track.name for track in dataset.train[::10]))
    return dataset


def dataset_name(root: Path) -> str:
    """How tables call a folder."""
    return name_like(root.resolve().name, "folder")


def hold_out(dataset: Dataset, names: tuple[str, ...]) -> Dataset:
    """Make the named tracks the validation split, and all others of train and valid train."""
    tracks = sorted((*dataset.train, *dataset.valid), key=lambda track: track.name)
    valid = tuple(track for track in tracks if track.name in names)
    train = tuple(track for track in tracks if track.name not in names)
    return replace(dataset, train=train, valid=valid)


def stem_files(folder: Path) -> dict[str, Path]:
    """Stem (or ``mixture``) name to sound file, in a track's folder; wav before flac."""
    files: dict[str, Path] = {}
    for suffix in SUFFIXES:
        for path in sorted(folder.glob(f"*{suffix}")):
            if not path.name.startswith("."):
                files.setdefault(path.stem, path)
    return files


def track_folders(folder: Path) -> list[Path]:
    """Folders below ``folder`` that hold at least one sound file, by name."""
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and stem_files(path)]


def _read_split(folder: Path, faults: dict[str, str] | None = None) -> tuple[Track, ...]:
    tracks = []
    for path in track_folders(folder):
        try:
            tracks.append(read_track(path))
        except ValueError as error:
            if faults is None:
                raise
            faults[path.name] = " ".join(str(error).split())
    return tuple(tracks)


def read_track(folder: Path) -> Track:
    """One track folder; ValueError if its files differ in length, rate or channels."""
    files = stem_files(folder)
    infos = {stem: audio.info(path) for stem, path in files.items()}
    stems = {stem: path for stem, path in files.items() if stem != "mixture"}
    if not stems:
        raise ValueError(f"{folder} holds a mixture but no stems: add one wav file per stem")
    first = next(iter(stems))
    for stem, found in infos.items():
        if _shape(found) != _shape(infos[first]):
            raise ValueError(
                f"{folder}: {stem} has {_say(found)}, {first} has {_say(infos[first])}: "
                f"all files of a track must agree (mss-data check lists every track)"
            )
    return Track(folder.name, stems, files.get("mixture"), infos[first])


def _shape(found: AudioInfo) -> tuple[int, int, int]:
    return found.samples, found.sample_rate, found.channels


def _say(found: AudioInfo) -> str:
    return f"{found.samples} samples at {found.sample_rate} Hz in {found.channels} channels"
