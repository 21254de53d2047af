"""Tracks whose files do not fit, read as if they did: each liberty is asked for by its own flag."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from mss_shared import audio
from mss_shared.audio import Audio, AudioInfo
from mss_shared.datasets.tracks import Dataset, Reading, Sum, Track, files_of

# Input on both sides of an excerpt that is resampled, in samples of the lower rate.
_MARGIN = 2048


@dataclass(frozen=True)
class ConvertedTrack(Track):
    """A track whose files may differ from ``info`` in length, rate and channels.

    What a file lacks at its end is silence. Mono becomes equal channels, and several channels
    become their mean in mono.

    Attributes:
        files: the length and format of every file.
        changes: the names of the flags, fields of `Reading`, that were needed.
    """

    files: Mapping[Path, AudioInfo] = field(default_factory=dict)
    changes: frozenset[str] = frozenset()

    def read_file(self, path: Path, start: int, samples: int) -> Audio:
        """Read (channel, sample) float32 of one file in the track's rate and channels."""
        own = self.files[path]
        excerpt = _read_at(path, own, start, samples, self.info.sample_rate)
        if own.channels == self.info.channels:
            return excerpt
        if own.channels > 1:
            excerpt = excerpt.mean(axis=0, keepdims=True)
        return np.repeat(excerpt, self.info.channels, axis=0)


def _read_at(path: Path, own: AudioInfo, start: int, samples: int, rate: int) -> Audio:
    """Read an excerpt of a file at a sample rate, (channel, sample), silent after its end.

    What is read does not depend on how a file is cut into excerpts, apart from rounding.
    """
    if own.sample_rate == rate:
        available = min(max(0, own.samples - start), samples)
        if not available:
            return np.zeros((own.channels, samples), np.float32)
        return audio.fit_length(audio.read(path, start, available), samples)
    common = math.gcd(own.sample_rate, rate)
    # Multiples of these many samples coincide in the file and at the new rate.
    step, step_out = own.sample_rate // common, rate // common
    margin = math.ceil(_MARGIN * max(1.0, own.sample_rate / rate) / step)
    first = max(0, start // step_out - margin)
    last = math.ceil((start + samples) / step_out) + margin
    begin, end = first * step, min(last * step, own.samples)
    if end <= begin:
        return np.zeros((own.channels, samples), np.float32)
    excerpt = audio.resample(audio.read(path, begin, end - begin), own.sample_rate, rate)
    return audio.fit_length(excerpt[:, start - first * step_out :], samples)


def check_formats(folder: Path, infos: Mapping[str, AudioInfo], reading: Reading) -> frozenset[str]:
    """The flags that files of one track take, which must have been given.

    Args:
        folder: of the track.
        infos: stem to length and format.
        reading: the flags.

    Raises:
        ValueError: if the files differ in what no flag allows.
    """
    needed = set()
    if len({info.sample_rate for info in infos.values()}) > 1:
        needed.add("resample")
    if len({info.channels for info in infos.values()}) > 1:
        needed.add("convert_channels")
    lengths = [info.seconds for info in infos.values()]
    shortest = min(info.sample_rate for info in infos.values())
    if max(lengths) - min(lengths) > (0.0 if "resample" not in needed else 1.5 / shortest):
        needed.add("trim")
    missing = sorted(name for name in needed if not getattr(reading, name))
    if missing:
        first, *others = sorted(infos.items(), key=lambda item: item[0] == "mixture")
        other = next(item for item in others if _describe(item[1]) != _describe(first[1]))
        flags = " ".join(f"--{name}" for name in missing)
        raise ValueError(
            f"{folder}: {other[0]} has {_describe(other[1])}, {first[0]} has "
            f"{_describe(first[1])}: all files of a track must agree, unless fit and evaluate get "
            f"{flags} (mss-data check lists every track)"
        )
    return frozenset(needed)


def _describe(info: AudioInfo) -> str:
    return f"{info.samples} samples at {info.sample_rate} Hz in {info.channels} channels"


def convert(track: Track, infos: Mapping[Path, AudioInfo], changes: Iterable[str]) -> Track:
    """A track of files that differ: as long as the shortest, in the rate and channels of most."""
    rate = Counter(info.sample_rate for info in infos.values()).most_common(1)[0][0]
    first = next(info for info in infos.values() if info.sample_rate == rate)
    seconds = min(info.samples / info.sample_rate for info in infos.values())
    info = replace(
        first,
        samples=math.floor(seconds * rate + 1e-6),
        channels=max(info.channels for info in infos.values()),
    )
    values = (track.name, track.stems, track.mixture, info)
    return ConvertedTrack(*values, dict(infos), frozenset(changes))


def longest(folder: Path, infos: Mapping[Path, AudioInfo]) -> AudioInfo:
    """The length of the longest file, and the most channels.

    Raises:
        ValueError: if the files differ in rate, or all are empty.
    """
    rates = sorted({info.sample_rate for info in infos.values()})
    if len(rates) > 1:
        raise ValueError(f"the files of {folder} have {rates[0]} and {rates[1]} Hz: convert them")
    samples = max(info.samples for info in infos.values())
    if not samples:
        raise ValueError(f"track {folder.name} is empty, {folder} has 0 samples: remove it")
    channels = max(info.channels for info in infos.values())
    return replace(next(iter(infos.values())), samples=samples, channels=channels)


def adapt(dataset: Dataset, stems: Sequence[str], sample_rate: int, channels: int) -> Dataset:
    """The data set as a model takes it, as far as the flags allow with which it was opened.

    Args:
        dataset: opened with a `Reading`; without one it is returned as it is.
        stems: that every track must have.
        sample_rate, channels: of the model.

    Returns:
        the data set with ``changes``: flag to the tracks that took it.

    Raises:
        ValueError: if no track at all has one of the stems, or the file of a missing one is there
            in another form.
    """
    if dataset.reading == Reading():
        return dataset
    everything = (*dataset.train, *dataset.valid, *dataset.test)
    if dataset.reading.silence_missing:
        _check_missing(everything, stems)
    for stem in stems:
        if everything and not any(stem in track.stems for track in everything):
            known = sorted({name for track in everything for name in track.stems})
            raise ValueError(
                f"no track of {dataset.root} has {stem}, only {', '.join(known)}: correct the "
                f"stem's name, --silence_missing is for single tracks"
            )
    adapted = dataset.map_tracks(
        lambda track: _adapt(track, stems, sample_rate, channels, dataset.reading)
    )
    return replace(adapted, changes=_list_changes(adapted))


def _check_missing(tracks: Iterable[Track], stems: Sequence[str]) -> None:
    """Raise ValueError if the file of a stem that would be silence is there in another form."""
    for track in tracks:
        for stem in stems:
            found = None if stem in track.stems else track.explain_missing(stem)
            if found is not None:
                raise ValueError(f"track {track.name} has no {stem}.wav: {found}")


def _adapt(
    track: Track, stems: Sequence[str], sample_rate: int, channels: int, reading: Reading
) -> Track:
    changes = set(track.changes if isinstance(track, ConvertedTrack) else ())
    info, known = track.info, dict(track.stems)
    lacking = [stem for stem in stems if stem not in known]
    if lacking and reading.silence_missing:
        changes.add("silence_missing")
        known |= dict.fromkeys(lacking, Sum(()))
    if reading.resample and info.sample_rate != sample_rate:
        changes.add("resample")
        samples = math.floor(info.samples * sample_rate / info.sample_rate)
        info = replace(info, sample_rate=sample_rate, samples=samples)
    if reading.convert_channels and info.channels != channels and 1 in (info.channels, channels):
        changes.add("convert_channels")
        info = replace(info, channels=channels)
    if not changes:
        return track
    values = (track.name, known, track.mixture, info)
    return ConvertedTrack(*values, _list_files(track), frozenset(changes))


def _list_files(track: Track) -> dict[Path, AudioInfo]:
    if isinstance(track, ConvertedTrack):
        return dict(track.files)
    sources = [*track.stems.values(), *([] if track.mixture is None else [track.mixture])]
    return {path: audio.info(path) for source in sources for path in files_of(source)}


def _list_changes(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """Flag to the names of the tracks that took it."""
    tracks = (*dataset.train, *dataset.valid, *dataset.test)
    found = {
        flag.name: tuple(
            track.name
            for track in tracks
            if isinstance(track, ConvertedTrack) and flag.name in track.changes
        )
        for flag in fields(Reading)
    }
    return {name: names for name, names in found.items() if names}
