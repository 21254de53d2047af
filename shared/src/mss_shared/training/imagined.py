"""A data set that needs no disk: what a run would cost does not depend on what is sung in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from mss_shared.audio import Audio, AudioInfo
from mss_shared.datasets import Dataset, Track

TRAINING_SONGS, VALIDATION_SONGS = 86, 14  # of MUSDB18
SONG_SECONDS = 236.0  # the mean of MUSDB18's songs: 9.8 hours, 150 songs


@dataclass(frozen=True)
class _Hum:
    """A track whose stems, sums too, are constant and loud enough not to count as silent."""

    name: str
    stems: Mapping[str, Path]
    info: AudioInfo
    mixture: None = None

    def read_stem(self, stem: str, start: int = 0, samples: int | None = None) -> Audio:
        length = self.info.samples - start if samples is None else samples
        return np.full((self.info.channels, length), 0.1, dtype=np.float32)

    def read_stems(
        self, stems: tuple[str, ...], start: int = 0, samples: int | None = None
    ) -> Audio:
        return np.stack([self.read_stem(stem, start, samples) for stem in stems])

    def read_mixture(self, start: int = 0, samples: int | None = None) -> Audio:
        total: Audio = self.read_stems(tuple(self.stems), start, samples).sum(axis=0)
        return total


def imagined_songs(stems: Sequence[str], sample_rate: int, channels: int) -> Dataset:
    """As many songs as MUSDB18 has to train and to validate, each of the mean length of its songs.

    Args:
        stems: that every song has.
        sample_rate: Hz.
        channels: of every stem.
    """
    info = AudioInfo(round(SONG_SECONDS * sample_rate), sample_rate, channels, "PCM_16", "WAV")

    def songs(split: str, count: int) -> tuple[Track, ...]:
        names = [f"{split}-{n}" for n in range(count)]
        return tuple(
            cast(Track, _Hum(name, dict.fromkeys(stems, Path(name)), info)) for name in names
        )

    train, valid = songs("train", TRAINING_SONGS), songs("valid", VALIDATION_SONGS)
    return Dataset("imagined", Path("imagined"), train, valid, ())
