"""Data sets and their tracks, which read any excerpt of any stem from disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from mss_shared import audio
from mss_shared.audio import Audio, AudioInfo
from mss_shared.datasets.tree import explain_missing

STEMS = ("vocals", "drums", "bass", "other")


@dataclass(frozen=True)
class Reading:
    """Liberties in reading files that do not fit; without any, such files are refused.

    Attributes:
        silence_missing: a stem that a track lacks is silence.
        trim: files of a track that differ in length are cut to the shortest.
        convert_channels: mono becomes equal channels, several channels become their mean in mono.
        resample: files of another rate are resampled while they are read.
    """

    silence_missing: bool = False
    trim: bool = False
    convert_channels: bool = False
    resample: bool = False


@dataclass(frozen=True)
class Sum:
    """A stem without a file of its own: a sum of files, or a difference, with a factor of -1.

    Attributes:
        parts: (factor, file) each; without any, the stem is silent.
    """

    parts: tuple[tuple[float, Path], ...]

    @classmethod
    def of(cls, *sources: Path | Sum) -> Sum:
        """The sum of files and sums."""
        parts = (s.parts if isinstance(s, Sum) else ((1.0, s),) for s in sources)
        return cls(tuple(part for several in parts for part in several))


@dataclass(frozen=True)
class Track:
    """One song: a sound file per stem, all with the same length, rate and channel count.

    Attributes:
        name: the track's folder name.
        stems: stem to its file, or to a sum of files.
        mixture: the mixture's file, or None if the mixture is the sum of the stems.
        info: length, rate and channels of every file; files may be longer.
    """

    name: str
    stems: Mapping[str, Path | Sum]
    mixture: Path | None
    info: AudioInfo

    def read_stem(self, stem: str, start: int = 0, samples: int | None = None) -> Audio:
        """Read (channel, sample) float32 of one stem by seeking."""
        if stem not in self.stems:
            advice = self.explain_missing(stem) or f"add {stem}.wav"
            raise ValueError(
                f"track {self.name} has no stem {stem!r}, only {', '.join(self.stems)}: "
                f"{advice} or leave the stem out of the recipe"
            )
        samples = self.info.samples - start if samples is None else samples
        return self._read_source(self.stems[stem], start, samples)

    def explain_missing(self, stem: str) -> str | None:
        """What the folder holds in place of a stem's file, and what to do; None for nothing."""
        sources = [*self.stems.values(), *([] if self.mixture is None else [self.mixture])]
        return explain_missing(stem, (path for source in sources for path in files_of(source)))

    def read_file(self, path: Path, start: int, samples: int) -> Audio:
        """Read (channel, sample) float32 of one of the track's files."""
        return audio.read(path, start, samples)

    def _read_source(self, source: Path | Sum, start: int, samples: int) -> Audio:
        if isinstance(source, Path):
            return self.read_file(source, start, samples)
        total = np.zeros((self.info.channels, samples), dtype=np.float32)
        for factor, path in source.parts:
            total += np.float32(factor) * self.read_file(path, start, samples)
        return total

    def read_stems(
        self, stems: tuple[str, ...], start: int = 0, samples: int | None = None
    ) -> Audio:
        """Read (stem, channel, sample) float32, in the order of ``stems``."""
        return np.stack([self.read_stem(stem, start, samples) for stem in stems])

    def read_mixture(self, start: int = 0, samples: int | None = None) -> Audio:
        """Read (channel, sample) float32 of the mixture: its file, or the sum of all stems."""
        if self.mixture is not None:
            samples = self.info.samples - start if samples is None else samples
            return self._read_source(self.mixture, start, samples)
        total: Audio = self.read_stems(tuple(self.stems), start, samples).sum(axis=0)
        return total


def check_fits(track: Track, stems: Sequence[str], sample_rate: int, channels: int) -> None:
    """Raise ValueError unless a track has sound, these stems, and a model's rate and channels."""
    if not track.info.samples:
        raise ValueError(f"track {track.name} is empty, it has 0 samples: remove it")
    for stem in stems:
        if stem not in track.stems:
            advice = track.explain_missing(stem) or (
                f"the model needs {', '.join(stems)} (--silence_missing reads what is not there as "
                f"silence)"
            )
            raise ValueError(
                f"track {track.name} has no {stem}.wav, only {', '.join(track.stems)}: {advice}"
            )
    if (track.info.sample_rate, track.info.channels) != (sample_rate, channels):
        raise ValueError(
            f"track {track.name} has {track.info.channels} channels at {track.info.sample_rate} "
            f"Hz, the model takes {channels} at {sample_rate} Hz: convert the data set, or read it "
            f"with --convert_channels and --resample"
        )


@dataclass(frozen=True)
class Dataset:
    """A data set opened for reading.

    Attributes:
        name: the name in tables: ``musdb18hq``, ``demo_small``, otherwise the folder's name.
        root: the folder.
        train, valid, test: tracks of each split; valid is disjoint from train.
        identity: which data set it is, and how that was found out.
        unheard: places below the root that hold sound files and are no tracks.
        reading: how files that do not fit are read.
        changes: which of these flags was needed, to the names of the tracks.
        parts: the data sets that this one is put together from, if it is.
    """

    name: str
    root: Path
    train: tuple[Track, ...]
    valid: tuple[Track, ...]
    test: tuple[Track, ...]
    identity: str = ""
    unheard: tuple[str, ...] = ()
    reading: Reading = Reading()
    changes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parts: tuple[Dataset, ...] = ()

    def split(self, name: str) -> tuple[Track, ...]:
        """The tracks of ``train``, ``valid`` or ``test``; ValueError if there are none."""
        tracks: tuple[Track, ...] = getattr(self, name)
        if not tracks:
            raise ValueError(
                f"{self.root} has no {name} tracks: the data set must hold a {name}/ folder of "
                f"track folders"
            )
        return tracks

    def map_tracks(self, change: Callable[[Track], Track]) -> Dataset:
        """The data set with every track changed."""
        train, valid, test = (
            tuple(map(change, tracks)) for tracks in (self.train, self.valid, self.test)
        )
        return replace(self, train=train, valid=valid, test=test)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over every file's name, header and 64 KiB from its middle."""
        digest = hashlib.sha256()
        for split in ("train", "valid", "test"):
            for track in getattr(self, split):
                digest.update(f"{split}/{track.name}\n".encode())
                digest.update(track_fingerprint(track).encode())
        return digest.hexdigest()


def _header(info: AudioInfo) -> str:
    """The fields that fingerprints have had from the first record on, in that record's form."""
    return (
        f"AudioInfo(samples={info.samples}, sample_rate={info.sample_rate}, "
        f"channels={info.channels}, subtype={info.subtype!r}, container={info.container!r})"
    )


def track_fingerprint(track: Track) -> str:
    """SHA-256 over the stems' names, lengths and 64 KiB from the middle of each file.

    Score folders carry it, so it must not move with our own classes.
    """
    digest = hashlib.sha256()
    for stem in sorted(track.stems):
        for path in files_of(track.stems[stem]):
            size = path.stat().st_size
            digest.update(f"{stem} {_header(track.info)} {size}\n".encode())
            with path.open("rb") as file:
                file.seek(max(0, size // 2 - 32_768))
                digest.update(file.read(65_536))
    return digest.hexdigest()


def files_of(source: Path | Sum) -> tuple[Path, ...]:
    """The files that a stem is read from."""
    return (source,) if isinstance(source, Path) else tuple(path for _, path in source.parts)
