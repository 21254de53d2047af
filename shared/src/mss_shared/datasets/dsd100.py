"""DSD100 as it comes: mixtures and sources in trees of their own.

    root/Mixtures/{Dev,Test}/<track>/mixture.wav
    root/Sources/{Dev,Test}/<track>/{vocals,drums,bass,other}.wav

``Dev`` is the training split; every tenth track of it is held out for validation.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mss_shared import audio
from mss_shared.datasets import folders
from mss_shared.datasets.tracks import Dataset, Track

_SPLITS = {"train": "Dev", "test": "Test"}


def read_dsd100(root: Path) -> Dataset:
    """Open DSD100.

    Raises:
        ValueError: if a file is missing or unreadable, or the files of a track differ.
    """
    return folders.read_listed("dsd100", root, find(root), read_track)


def find(root: Path) -> dict[str, list[Path]]:
    """The folders of the sources of each split."""
    return {
        split: folders.find_track_folders(root / "Sources" / name)
        for split, name in _SPLITS.items()
    }


def read_track(folder: Path) -> Track:
    """Open the sources in a folder together with their mixture."""
    track = folders.read_track(folder)
    mixture = folder.parents[2] / "Mixtures" / folder.parent.name / folder.name / "mixture.wav"
    info = audio.info(mixture)
    if (info.samples, info.sample_rate, info.channels) != (
        track.info.samples,
        track.info.sample_rate,
        track.info.channels,
    ):
        raise ValueError(f"{mixture} differs from its sources in length, rate or channels")
    return replace(track, mixture=mixture)
