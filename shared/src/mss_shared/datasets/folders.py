"""Any folder of track folders, including MUSDB18-HQ's layout.

    root/train/<track>/{mixture,vocals,drums,bass,other}.wav
    root/valid/<track>/...      optional; without it every tenth training track is held out
    root/test/<track>/...

The mixture file is optional, stems may have any names, files may be wav or flac, their suffix in
any case. ``validation/`` and ``val/`` are ``valid/``. If the root itself holds track folders, they
are all test tracks. Open-Unmix calls this layout ``trackfolder_fix``. What is passed over:
`mss_shared.datasets.tree`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mss_shared import audio, console
from mss_shared.datasets import converted, tree
from mss_shared.datasets.tracks import Dataset, Reading, Sum, Track
from mss_shared.datasets.tree import SPLITS, Tree, find_stem_files, find_track_folders
from mss_shared.names import name_like, real_path, shorten

__all__ = [
    "SPLITS",
    "Faults",
    "find_stem_files",
    "find_track_folders",
    "get_dataset_name",
    "hold_out",
    "read",
    "read_listed",
    "read_split",
    "read_track",
    "with_all_stems",
    "with_validation",
]

Faults = dict[str, str]  # track to what is wrong with it, a sentence
AS_IT_IS = Reading()
Reader = Callable[[Path], Track]
_MIXES = re.compile(r"(.*[-_ ])?(mix|mixdown|fullmix|full[-_ ]mix|mixture)", re.IGNORECASE)


def read(
    root: Path,
    name: str,
    faults: Faults | None = None,
    *,
    found: Tree | None = None,
    reader: Reader | None = None,
) -> Dataset:
    """List the tracks of a folder as they lie in its splits; reads headers only.

    Args:
        root: the folder.
        name: the data set's name.
        faults: if given, broken test tracks are left out and added here, name to fault.
        found: the track folders, if they are not those that `tree.look` finds.
        reader: opens a track folder; by default `read_track`.

    Raises:
        ValueError: if there is no track folder, a file is unreadable, the files of one track
            differ in length, rate or channels, or sound lies where no track would have it. It is
            of the first track, and says how many more have faults.
    """
    found = tree.look(root) if found is None else found
    errors: list[Exception] = [ValueError(fault) for fault in found.faults.values()]
    if faults is not None:
        faults.update({Path(place).name: fault for place, fault in found.faults.items()})
        errors.clear()
    splits = {
        split: _open(found.splits[split], errors, faults if split == "test" else None, reader)
        for split in SPLITS
    }
    _raise_first(errors)
    if not any(splits.values()) and not faults:
        raise ValueError(
            f"no track folders under {root}: a data set holds train/ and test/ with one "
            f"folder per track, each with a wav file per stem{_hint(root)}"
        )
    return Dataset(
        *(name, root, splits["train"], splits["valid"], splits["test"]),
        unheard=tuple(found.unheard),
    )


def _hint(root: Path) -> str:
    """Where the tracks may be instead."""
    if find_stem_files(root):
        return f"; {root} is a track itself: pass the folder that holds it"
    return ""


def with_validation(dataset: Dataset) -> Dataset:
    """Hold out every tenth training track if the data set has no validation tracks."""
    if not dataset.valid and len(dataset.train) > 1:
        return hold_out(dataset, tuple(track.name for track in dataset.train[::10]))
    return dataset


def read_listed(
    name: str, root: Path, found: Mapping[str, Sequence[Path]], reader: Reader
) -> Dataset:
    """Open the track folders of each split; every tenth is held out if there is no validation."""
    errors: list[Exception] = []
    train, valid, test = (_open(found.get(split, ()), errors, None, reader) for split in SPLITS)
    _raise_first(errors)
    return with_validation(Dataset(name, root, train, valid, test))


def with_all_stems(dataset: Dataset) -> Dataset:
    """Give every track every stem that some track has; those it lacks are silence."""
    tracks = (*dataset.train, *dataset.valid, *dataset.test)
    silence = {stem: Sum(()) for track in tracks for stem in track.stems}
    return dataset.map_tracks(lambda track: replace(track, stems={**silence, **track.stems}))


def get_dataset_name(root: Path) -> str:
    """The name of a folder in tables."""
    return name_like(real_path(root).name, "folder")


def hold_out(dataset: Dataset, names: tuple[str, ...]) -> Dataset:
    """Move the named training tracks to the validation split."""
    held = tuple(track for track in dataset.train if track.name in names)
    train = tuple(track for track in dataset.train if track.name not in names)
    valid = sorted((*dataset.valid, *held), key=lambda track: track.name)
    return replace(dataset, train=train, valid=tuple(valid))


def read_split(
    paths: Iterable[Path],
    faults: Faults | None = None,
    reader: Reader | None = None,
) -> tuple[Track, ...]:
    """Open track folders; with ``faults``, broken ones are left out and added there."""
    errors: list[Exception] = []
    tracks = _open(paths, errors, faults, reader)
    _raise_first(errors)
    return tracks


def _open(
    paths: Iterable[Path], errors: list[Exception], faults: Faults | None, reader: Reader | None
) -> tuple[Track, ...]:
    """The tracks that can be opened; what the others raise goes into ``faults`` or ``errors``."""
    tracks = []
    for path in paths:
        try:
            tracks.append((reader or read_track)(path))
        except (ValueError, OSError) as error:
            if faults is None:
                errors.append(error)
            else:
                faults[path.name] = console.sentence(error)
    return tuple(tracks)


def _raise_first(errors: Sequence[Exception]) -> None:
    """Raise the first of some errors; it says how many others there are, and what lists them."""
    if len(errors) > 1:
        others = console.count(len(errors) - 1, "more fault")
        raise ValueError(
            f"{console.sentence(errors[0])}; {others}, which mss-data check lists"
        ) from errors[0]
    if errors:
        raise errors[0]


def read_track(folder: Path, reading: Reading = AS_IT_IS) -> Track:
    """Open one track folder.

    Args:
        folder: of the track.
        reading: what may be done to files that do not agree.

    Raises:
        ValueError: if its files differ in length, rate or channels, are empty or can't be read, or
            if one of them seems to be the mixture under another name.
    """
    files = find_stem_files(folder)
    check_names(folder, files)
    infos = {stem: audio.info(path) for stem, path in files.items()}
    stems = {stem: path for stem, path in files.items() if stem != "mixture"}
    if not stems:
        raise ValueError(f"{folder} holds a mixture but no stems: add one wav file per stem")
    changes = converted.check_formats(folder, infos, reading)
    if not min(info.samples for info in infos.values()):
        raise ValueError(f"track {folder.name} is empty, {folder} has 0 samples: remove it")
    track = Track(folder.name, stems, files.get("mixture"), infos[next(iter(stems))])
    if not changes:
        return track
    return converted.convert(track, {files[stem]: infos[stem] for stem in files}, changes)


def check_names(folder: Path, files: Mapping[str, Path]) -> None:
    """Raise ValueError for names that are not text, and for a mixture of another name."""
    for path in (folder, *files.values()):
        fault = tree.name_fault(path.name)
        if fault is not None:
            place = shorten(str(path.parent))
            raise ValueError(f"the name {shorten(path.name)} in {place} {fault}: rename it")
    for stem in files:
        if stem != "mixture" and _MIXES.fullmatch(stem):
            raise ValueError(
                f"{folder} holds {stem}, which seems to be the mixture: name it mixture, or "
                f"remove it"
            )
