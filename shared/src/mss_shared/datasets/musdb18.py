"""MUSDB18: its 14 validation tracks, and its ``.stem.mp4`` files, decoded to wav once.

The mp4 files are read through ``musdb``. Even importing it takes ffmpeg and ffprobe on the path, so
it is imported only when such files are opened.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from mss_shared import audio
from mss_shared.atomic import making_folder
from mss_shared.console import Report
from mss_shared.datasets import folders
from mss_shared.datasets.tracks import STEMS, Dataset

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


def name_validation(dataset: Dataset, broken: int = 0) -> Dataset:
    """Hold out the 14 tracks if all are there; name the full wav set ``musdb18hq``.

    ``broken`` counts test tracks that belong to the set but were left out of it.
    """
    tracks = dataset.train + dataset.valid
    names = {track.name for track in tracks}
    if not names.issuperset(VALIDATION):
        return dataset
    everything = Dataset(
        dataset.name, dataset.root, tuple(sorted(tracks, key=lambda t: t.name)), (), dataset.test
    )
    held_out = folders.hold_out(everything, VALIDATION)
    if len(names) == 100 and len(dataset.test) + broken == 50 and dataset.name != "musdb18":
        return Dataset("musdb18hq", held_out.root, held_out.train, held_out.valid, held_out.test)
    return held_out


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
