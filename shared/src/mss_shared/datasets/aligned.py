"""Pairs of aligned files: the input of a model and the stem it should return.

    root/train/<track>/mixture.wav     the input
    root/train/<track>/<stem>.wav      the stem, aligned to the sample
    root/valid/<track>/...             optional; without it every tenth training track is held out
    root/test/<track>/...              optional

The mixture need not be a sum of stems: the stem ``rest`` is the mixture minus the other. A
recipe's ``data.stems`` is then ``[<stem>, rest]``; without random mixes and gains, a training
example is an excerpt of the pair.
"""

from __future__ import annotations

from pathlib import Path

from mss_shared.datasets import folders
from mss_shared.datasets.tracks import Dataset, Sum, Track

REST = "rest"


def read_aligned(root: Path) -> Dataset:
    """Open a folder of pairs.

    Raises:
        ValueError: if a track folder has no mixture, or not exactly one other file.
    """
    splits = {
        split: tuple(_read_pair(folder) for folder in folders.find_track_folders(root / split))
        for split in folders.SPLITS
    }
    return folders.with_validation(
        Dataset(
            folders.get_dataset_name(root), root, splits["train"], splits["valid"], splits["test"]
        )
    )


def _read_pair(folder: Path) -> Track:
    track = folders.read_track(folder)
    if track.mixture is None or len(track.stems) != 1:
        raise ValueError(
            f"{folder} holds {', '.join(sorted(folders.find_stem_files(folder)))}: a pair is "
            f"mixture.wav and one other file"
        )
    [(stem, path)] = track.stems.items()
    assert isinstance(path, Path)
    rest = Sum(((1.0, track.mixture), (-1.0, path)))
    return Track(track.name, {stem: path, REST: rest}, track.mixture, track.info)
