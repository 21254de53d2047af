"""Which data set a folder holds: decided by its tracks and their sound, not by its name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mss_shared.audio import Audio
from mss_shared.datasets import musdb18
from mss_shared.datasets.manifest import has_manifest, read_manifest
from mss_shared.datasets.tracks import Dataset, Track

DEMO_NAMES = ("demo_tiny", "demo_small", "demo_full")
_TITLES = {
    "musdb18": "MUSDB18, the compressed set",
    "musdb18hq": "MUSDB18-HQ",
    "musdb18_7s": "the seven-second previews of MUSDB18",
}
_PREVIEW_SECONDS = (6.0, 8.0)
_RATE = 44_100
_LISTENED = 6  # tracks whose spectrum is looked at
_WINDOW = 8192
_HIGH, _MIDDLE = (18_000, 20_500), (13_000, 16_000)  # Hz
_CUT_DB = -40.0  # AAC ends below the high band: there, MUSDB18 is 50 dB or more below the middle


def identify(dataset: Dataset) -> Dataset:
    """The data set under the name of what it holds, with a sentence that says so.

    MUSDB18 in one of its versions is recognised by the names and lengths of its tracks, MUSDB18
    and MUSDB18-HQ are told apart by the sound above 18 kHz. Any other data set keeps its name,
    unless that is a benchmark's: then ``private_`` comes before it.
    """
    found = _recognise(dataset)
    if found is not None:
        return replace(dataset, name=found, identity=_describe(dataset, found))
    pretends = dataset.name in DEMO_NAMES and not _is_demo(dataset)
    if pretends or dataset.name in musdb18.NAMES:
        name = f"private_{dataset.name}"
        why = f"its tracks are not those of {_TITLES.get(dataset.name, 'the demo set')}"
        return replace(dataset, name=name, identity=f"{dataset.root} is shown as {name}: {why}")
    return replace(dataset, identity=f"{dataset.root} is shown as {dataset.name}{_count(dataset)}")


def _is_demo(dataset: Dataset) -> bool:
    """Whether tracks and files are those that the manifest of the demo set lists by SHA-256."""
    listed = read_manifest(dataset.root).get("sha256") if has_manifest(dataset.root) else None
    if not isinstance(listed, dict):
        return False
    tracks = (*dataset.train, *dataset.valid, *dataset.test)
    files = [sorted(p for p in track.stems.values() if isinstance(p, Path)) for track in tracks]
    if not all(_name_in(dataset, path) in listed for paths in files for path in paths):
        return False
    heard = [paths[0] for paths in files[:: max(1, len(files) // _LISTENED)] if paths]
    return all(_sha256(path) == listed[_name_in(dataset, path)] for path in heard)


def _name_in(dataset: Dataset, path: Path) -> str:
    return path.relative_to(dataset.root).as_posix()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_private(dataset: Dataset) -> bool:
    """Whether a data set is none of the benchmarks whose scores are published."""
    return dataset.name not in (*musdb18.NAMES, *DEMO_NAMES)


def _describe(dataset: Dataset, name: str) -> str:
    foreign = [t for t in dataset.train if t.name not in musdb18.official_tracks("train")]
    more = f"; {len(foreign)} of its training tracks are of other origin" if foreign else ""
    return (
        f"{dataset.root} holds {_TITLES[name]}{_count(dataset)}, by names, lengths and sound of "
        f"its tracks{more}"
    )


def _count(dataset: Dataset) -> str:
    parts = [
        f"{len(tracks)} {what}"
        for what, tracks in (
            ("training", dataset.train),
            ("validation", dataset.valid),
            ("test", dataset.test),
        )
        if tracks
    ]
    return f" ({', '.join(parts)} tracks)" if parts else ""


def _recognise(dataset: Dataset) -> str | None:
    """The name of the MUSDB18 version that a data set holds; None for any other data set."""
    training = (*dataset.train, *dataset.valid)
    tracks, split = (dataset.test, "test") if dataset.test else (training, "train")
    official = musdb18.official_tracks(split)
    if not tracks or any(track.name not in official for track in tracks):
        return None
    if any(track.info.sample_rate != _RATE or track.info.channels != 2 for track in tracks):
        return None
    low, high = _PREVIEW_SECONDS
    if all(low <= track.info.seconds <= high for track in tracks):
        return "musdb18_7s" if _is_compressed(tracks) else None
    if any(track.info.seconds < (official[track.name] or high) - 1 for track in tracks):
        return None
    compressed = _is_compressed(tracks)
    if compressed is None:
        return None
    return "musdb18" if compressed else "musdb18hq"


def _is_compressed(tracks: Sequence[Track]) -> bool | None:
    """Whether no track has sound in the high band; None if they are all silent."""
    step = max(1, len(tracks) // _LISTENED)
    levels = [_high_level(track) for track in tracks[::step]]
    audible = [level for level in levels if level is not None]
    return max(audible) < _CUT_DB if audible else None


def _high_level(track: Track) -> float | None:
    """Level of the high band against the middle band in dB, from the middle of a mixture."""
    length = min(track.info.samples, 32 * _WINDOW)
    start = (track.info.samples - length) // 2
    mixture = track.read_mixture(start, length).mean(axis=0)
    power = _spectrum(mixture)
    hz = np.arange(len(power)) * track.info.sample_rate / _WINDOW
    high, middle = (float(power[(hz >= low) & (hz < top)].mean()) for low, top in (_HIGH, _MIDDLE))
    if middle <= 0.0:
        return None
    return float(10.0 * np.log10(max(high, 1e-30) / middle))


def _spectrum(mixture: Audio) -> Audio:
    """Mean power spectrum of (sample) in Hann windows; the last, incomplete one is dropped."""
    count = len(mixture) // _WINDOW
    if not count:
        return np.zeros(_WINDOW // 2 + 1, dtype=np.float32)
    frames = mixture[: count * _WINDOW].reshape(count, _WINDOW) * np.hanning(_WINDOW)
    power: Audio = (np.abs(np.fft.rfft(frames, axis=-1)) ** 2).mean(axis=0)
    return power
