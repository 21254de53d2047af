"""From what a user types after ``--data_root`` to an opened data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mss_demo_songs import SIZES, demo_root, read_manifest
from mss_shared.datasets import folders, musdb18
from mss_shared.datasets.aligned import read_aligned
from mss_shared.datasets.sourcefolder import read_sourcefolder
from mss_shared.datasets.trackfolder_var import read_trackfolder_var
from mss_shared.datasets.tracks import Dataset
from mss_shared.names import check_name, shorten

Progress = Callable[[str, int, int], None]

# What can't be told from the folders alone is named before them: --data_root aligned:FOLDER.
LAYOUTS: dict[str, Callable[[Path], Dataset]] = {
    "aligned": read_aligned,
    "sourcefolder": read_sourcefolder,
    "trackfolder_var": read_trackfolder_var,
}


def open_dataset(
    data_root: str | Path, progress: Progress | None = None, faults: dict[str, str] | None = None
) -> Dataset:
    """Open a data set; generate the demo set or decode MUSDB18's mp4 files if need be.

    Args:
        data_root: ``demo``, ``demo:tiny``, ``demo:small`` or ``demo:full``; a MUSDB18-HQ folder; a
            MUSDB18 folder of ``.stem.mp4`` files; any folder with ``train/`` and ``test/`` folders
            of track folders; a folder of track folders, which are then all test tracks; or
            ``aligned:``, ``sourcefolder:`` or ``trackfolder_var:`` and a folder of that layout.
        progress: called with (song, songs done, songs in all) while something is built.
        faults: if given, broken test tracks are left out and put here, name to sentence.

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: if it holds no tracks, or a demo size that does not exist is asked for.
    """
    if str(data_root).split(":")[0] == "demo":
        return _open_demo(str(data_root), progress, faults)
    layout, _, place = str(data_root).partition(":")
    root = Path(place if layout in LAYOUTS else data_root).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(
            f"there is no folder {root}: --data_root must be 'demo' or the folder that holds "
            f"train/ and test/"
        )
    if layout in LAYOUTS:
        return _open_layout(layout, root)
    if (root / "manifest.json").is_file():
        return _open_generated(root, faults)
    name = folders.dataset_name(root)
    if musdb18.holds_stem_files(root):
        root, name = musdb18.decode(root, progress), "musdb18"
    dataset = folders.read(root, name, faults)
    return musdb18.name_validation(dataset, broken=len(faults or ()))


def _open_layout(layout: str, root: Path) -> Dataset:
    dataset = LAYOUTS[layout](root)
    if not (dataset.train or dataset.valid or dataset.test):
        raise ValueError(
            f"no tracks under {root}: --data_root {layout}:... must hold train/ with one folder "
            f"per {'stem' if layout == 'sourcefolder' else 'track'}"
        )
    return dataset


def _open_demo(text: str, progress: Progress | None, faults: dict[str, str] | None) -> Dataset:
    size = text.partition(":")[2] or "small"
    if size not in SIZES:
        raise ValueError(f"there is no demo set {size!r}: choose demo:{', demo:'.join(SIZES)}")
    return _open_generated(demo_root(SIZES[size], progress=progress), faults)


def _open_generated(root: Path, faults: dict[str, str] | None) -> Dataset:
    manifest = read_manifest(root)
    name, validation = manifest.get("name"), manifest.get("validation")
    if not isinstance(validation, list):
        raise ValueError(
            f"the field validation of {root / 'manifest.json'} is {shorten(validation)}: it must "
            f"be a list of track names"
        )
    name = check_name(name, f"the field name of {root / 'manifest.json'}")
    return folders.hold_out(folders.read(root, name, faults), tuple(validation))
