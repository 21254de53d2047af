"""From what a user types after ``--data_root`` to an opened data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from mss_shared.datasets import folders, foreign, manifest, musdb18, plugins
from mss_shared.datasets.aligned import read_aligned
from mss_shared.datasets.dsd100 import read_dsd100
from mss_shared.datasets.folders import Reader
from mss_shared.datasets.identity import identify
from mss_shared.datasets.moisesdb import read_moisesdb
from mss_shared.datasets.plugins import Progress
from mss_shared.datasets.slakh2100 import read_slakh2100
from mss_shared.datasets.sourcefolder import read_sourcefolder
from mss_shared.datasets.trackfolder_var import read_trackfolder_var
from mss_shared.datasets.tracks import Dataset, Reading
from mss_shared.names import name_like, real_path

PREVIEWS = "musdb18_7s"  # a name for --data_root

# Layouts that can't be recognised from the folders are given as a prefix: --data_root
# aligned:FOLDER.
LAYOUTS: dict[str, Callable[[Path], Dataset]] = {
    "aligned": read_aligned,
    "dsd100": read_dsd100,
    "moisesdb": read_moisesdb,
    "slakh2100": read_slakh2100,
    "sourcefolder": read_sourcefolder,
    "trackfolder_var": read_trackfolder_var,
}


def open_dataset(
    data_root: str | Path,
    progress: Progress | None = None,
    faults: dict[str, str] | None = None,
    reading: Reading = folders.AS_IT_IS,
) -> Dataset:
    """Open a data set; builds the demo songs or decodes MUSDB18's mp4 files first if needed.

    It is named for what it holds (`mss_shared.datasets.identity`), whatever the folder is called.

    Args:
        data_root: a MUSDB18-HQ folder; a MUSDB18 folder of ``.stem.mp4`` files; any folder with
            ``train/`` and ``test/`` folders of track folders; a folder of track folders, which are
            then all test tracks; ``musdb18_7s``, the seven-second previews of MUSDB18, which are
            downloaded once; a name of `LAYOUTS`, a colon and a folder in that layout, such as
            ``aligned:FOLDER`` or ``moisesdb:FOLDER``; or the name of a data set that a package
            has registered (`mss_shared.datasets.plugins`), such as ``demo`` or ``demo:tiny``.
        progress: called with (song, songs done, songs in all) while something is built.
        faults: if given, broken test tracks are left out and added here, name to sentence.
        reading: what may be done to files that do not fit; see `converted.adapt`.

    Raises:
        FileNotFoundError: if the folder does not exist.
        ImportError: if the package of the demo songs, or one that decodes, is not installed.
        ValueError: if it holds no tracks, or a plugin can't open what is asked for.
    """
    dataset = _open(str(data_root), progress, faults, partial(folders.read_track, reading=reading))
    return replace(identify(dataset), reading=reading)


def join_datasets(datasets: Sequence[Dataset]) -> Dataset:
    """The tracks of several data sets as one, in order; each keeps its own splits.

    Raises:
        ValueError: if one has nothing to train on, or is there twice.
    """
    if len(datasets) == 1:
        return datasets[0]
    roots = [real_path(each.root) for each in datasets]
    for number, each in enumerate(datasets):
        if roots[number] in roots[:number]:
            raise ValueError(f"--data_root names {each.root} twice: give each folder once")
    for each in datasets:
        if not each.train and not each.valid:
            raise ValueError(f"{each.root} has no training tracks: leave it out of --data_root")
    train, valid, test = (
        tuple(track for each in datasets for track in getattr(each, split))
        for split in ("train", "valid", "test")
    )
    return Dataset(
        name_like("+".join(each.name for each in datasets), "several"),
        datasets[0].root,
        train,
        valid,
        test,
        identity="; ".join(each.identity for each in datasets),
        unheard=tuple(place for each in datasets for place in each.unheard),
        reading=datasets[0].reading,
        parts=tuple(datasets),
    )


def _open(
    data_root: str, progress: Progress | None, faults: dict[str, str] | None, reader: Reader
) -> Dataset:
    name, colon, rest = data_root.partition(":")
    if data_root == PREVIEWS:
        return _open_folder(musdb18.find_previews(), progress, faults, reader)
    if name in LAYOUTS and colon:
        plugins.find_entry(name)  # warns of a plugin under a reserved name
        return _open_layout(name, _check_folder(rest))
    opened = plugins.open_plugin(name, rest, progress)
    if isinstance(opened, Dataset):
        return opened
    root = _check_folder(data_root) if opened is None else opened
    return _open_folder(root, progress, faults, reader)


def _check_folder(folder: str | Path) -> Path:
    if not str(folder):  # the path "" would be the current folder
        raise FileNotFoundError(
            "the data set is an empty word: give a folder, or . for the current one"
        )
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(
            f"there is no folder {root}: a data set is the folder that holds train/ and "
            f"test/, or a name ({', '.join([*plugins.list_names(), PREVIEWS])})"
        )
    return root


def _open_folder(
    root: Path, progress: Progress | None, faults: dict[str, str] | None, reader: Reader
) -> Dataset:
    if manifest.has_manifest(root):
        return manifest.read_with_manifest(root, faults, reader)
    name, decoded = folders.get_dataset_name(root), None
    if musdb18.find_stem_files(root):
        decoded, root = musdb18.decode(root, progress), musdb18.get_cache(root)
    else:
        foreign.refuse(root)
    dataset = folders.read(root, name, faults, found=decoded, reader=reader)
    return musdb18.hold_out_validation(dataset)


def _open_layout(layout: str, root: Path) -> Dataset:
    dataset = LAYOUTS[layout](root)
    if not (dataset.train or dataset.valid or dataset.test):
        raise ValueError(
            f"no tracks under {root}: {layout}:FOLDER must hold train/ with one folder "
            f"per {'stem' if layout == 'sourcefolder' else 'track'}"
        )
    return dataset
