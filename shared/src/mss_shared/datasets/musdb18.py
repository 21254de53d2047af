"""MUSDB18: its tracks by name, and its ``.stem.mp4`` files, decoded to wav once.

The mp4 files are read through ``musdb``. Even importing it takes ffmpeg and ffprobe on the path, so
it is imported only when such files are opened.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from mss_shared import audio
from mss_shared.atomic import making_folder
from mss_shared.console import Report
from mss_shared.datasets import folders
from mss_shared.datasets.tracks import STEMS, Dataset

# The data sets of the same 150 songs: compressed, as wav, and the seven-second previews.
NAMES = ("musdb18", "musdb18hq", "musdb18_7s")

# The conventional validation split (musdb, split="valid").
VALIDATION = (
    "Actions - One Minute Smile",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Johnny Lokke - Promises & Lies",
    "Patrick Talbot - A Reason To Leave",
    "Triviul - Angelsaint",
    "Alexander Ross - Goodbye Bolero",
    "Fergessen - Nos Palpitants",
    "Leaf - Summerghost",
    "Skelpolu - Human Mistakes",
    "Young Griffo - Pennies",
    "ANiMAL - Rockshow",
    "James May - On The Line",
    "Meaxic - Take A Step",
    "Traffic Experiment - Sirens",
)


def hold_out_validation(dataset: Dataset) -> Dataset:
    """Make the 14 tracks the validation split, if all of them are among the training tracks."""
    names = {track.name for track in (*dataset.train, *dataset.valid)}
    return folders.hold_out(dataset, VALIDATION) if names.issuperset(VALIDATION) else dataset


@cache
def official_tracks(split: str) -> Mapping[str, int | None]:
    """The names of the official list's ``train`` or ``test`` tracks, with their seconds.

    Seconds are at least those that have a score in SiSEC 2018's files; None where there is none.
    """
    file = files("mss_shared.datasets") / "musdb18_tracks.csv"
    lines = file.read_text(encoding="utf-8").splitlines()
    rows = [row for row in csv.DictReader(lines) if row["split"] == split]
    return {row["track"]: int(row["seconds"]) if row["seconds"] else None for row in rows}


def holds_stem_files(root: Path) -> bool:
    """Whether ``train/`` or ``test/`` of the root has ``.stem.mp4`` files."""
    return any(next((root / split).glob("*.stem.mp4"), None) for split in ("train", "test"))


def decode(root: Path, progress: Report | None = None) -> Path:
    """Decode every ``.stem.mp4`` below ``root`` to wav folders in the user's cache, once.

    A track in the cache is not decoded again: its folder appears complete or not at all.

    Raises:
        ValueError: without ffmpeg and ffprobe on the path, or without the ``musdb`` package.
    """
    database = _open_database(root)
    name = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
    cache = platformdirs.user_cache_path("mss") / "musdb18" / name
    tracks = list(database)
    for done, track in enumerate(tracks):
        if progress is not None:
            progress(track.name, done, len(tracks))
        folder = cache / str(track.subset) / str(track.name)
        if not folder.is_dir():
            _decode_track(track, folder)
    return cache


def _open_database(root: Path) -> Any:
    missing = [tool for tool in ("ffmpeg", "ffprobe") if shutil.which(tool) is None]
    if missing:
        raise ValueError(
            f"{root} holds .stem.mp4 files, but {' and '.join(missing)} can't be found: install "
            f"ffmpeg, or use MUSDB18-HQ's wav files"
        )
    try:
        import musdb
    except ImportError:
        raise ValueError(
            f'{root} holds .stem.mp4 files: pip install "mss-shared[data]" to read them'
        ) from None
    return musdb.DB(root=str(root))


def _decode_track(track: Any, folder: Path) -> None:
    sources = {"mixture": track.audio, **{stem: track.sources[stem].audio for stem in STEMS}}
    with making_folder(folder) as part:
        for stem, samples in sources.items():
            values = np.ascontiguousarray(samples.T.astype(np.float32))
            audio.write(part / f"{stem}.wav", values, int(track.rate))
