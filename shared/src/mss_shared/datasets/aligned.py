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


def read_aligned(root: Path, faults: folders.Faults | None = None) -> Dataset:
    """Open a folder of pairs; with ``faults``, broken tracks are left out and added there.

    Raises:
        ValueError: if a track folder has no mixture, or not exactly one other file.
    """
    dataset = folders.read(root, folders.get_dataset_name(root), faults, reader=_read_pair)
    return folders.with_validation(dataset)


def _read_pair(folder: Path) -> Track:
    files = folders.find_stem_files(folder)
    if "mixture" not in files or len(files) != 2:
        raise ValueError(
            f"{folder} holds {', '.join(sorted(files))}: a pair is mixture.wav and one other file"
        )
    track = folders.read_track(folder)
    assert track.mixture is not None
    [(stem, path)] = track.stems.items()
    assert isinstance(path, Path)
    rest = Sum(((1.0, track.mixture), (-1.0, path)))
    return Track(track.name, {stem: path, REST: rest}, track.mixture, track.info)
