"""A split of a data set as a map from indices to arrays, as torch's ``DataLoader`` takes it.

Loads no torch: a ``DataLoader`` makes tensors of the arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mss_shared.audio import Audio
from mss_shared.console import count
from mss_shared.datasets import opening
from mss_shared.datasets.tracks import STEMS, Dataset, Track

Item = dict[str, Any]
_LONGEST_SECONDS = 600.0  # of an excerpt, if no song is longer


class Excerpts:
    """Excerpts of equal length, or whole songs, by index; reads from disk when asked.

    An item is ``{"mixture": (channel, sample), "stems": (stem, channel, sample), "name": the
    track's, "start": its first sample}``; the arrays are float32 with full scale 1.0.

    Attributes:
        dataset: the data set.
        split: of it.
        tracks: of the split.
        stems: the order of the stems.
        sample_rate: in Hz.
        channels: of mixture and stems.
        samples: of an excerpt; None for whole songs.
    """

    def __init__(
        self, dataset: Dataset, split: str, stems: Sequence[str] | None, seconds: float | None
    ) -> None:
        """The excerpts of a split; the arguments are those of ``open_dataset``."""
        self.dataset, self.split, self.tracks = dataset, split, dataset.split(split)
        first = self.tracks[0].info
        self.sample_rate, self.channels = first.sample_rate, first.channels
        for track in self.tracks:
            if (track.info.sample_rate, track.info.channels) != (self.sample_rate, self.channels):
                raise ValueError(
                    f"track {track.name} has {track.info.channels} channels at "
                    f"{track.info.sample_rate} Hz, {self.tracks[0].name} {self.channels} at "
                    f"{self.sample_rate} Hz: convert one of them"
                )
        self.stems = _choose(self.tracks, stems)
        self.samples = None if seconds is None else self._as_samples(seconds)
        self._places = [
            (track, start) for track in self.tracks for start in self._starts(track.info.samples)
        ]

    def __repr__(self) -> str:
        """The split, how much there is of it, and the stems."""
        each = count(len(self), "whole song")
        if self.samples is not None:
            seconds = self.samples / self.sample_rate
            each = f"{count(len(self), 'excerpt')} of {seconds:g} s"
        tracks, channels = count(len(self.tracks), "track"), count(self.channels, "channel")
        return (
            f"<{self.split} of {self.dataset.name}: {each} from {tracks}, "
            f"{', '.join(self.stems)}; {channels} at {self.sample_rate} Hz>"
        )

    def _as_samples(self, seconds: float) -> int:
        """The length of an excerpt; a batch of absurd ones would fill the memory with silence."""
        longest = max(track.info.samples for track in self.tracks)
        most = max(longest, round(_LONGEST_SECONDS * self.sample_rate))
        if not 0.5 <= seconds * self.sample_rate <= most:
            raise ValueError(
                f"chunk_seconds is {seconds}: the longest track has "
                f"{longest / self.sample_rate:g} s, pass at most that, and at least one sample, or "
                f"None for whole songs"
            )
        return max(1, round(seconds * self.sample_rate))

    def _starts(self, samples: int) -> range:
        """Where the excerpts of a song start; the rest of the song after the last is left out."""
        if self.samples is None:
            return range(1)
        return range(0, max(samples - self.samples, 0) + 1, self.samples)

    def __len__(self) -> int:
        """How many excerpts there are."""
        return len(self._places)

    def __getitem__(self, index: int) -> Item:
        """One excerpt; a song that is shorter ends in silence.

        Raises:
            IndexError: if there is none of that number.
            TypeError: if it is no number.
        """
        if not hasattr(index, "__index__"):
            raise TypeError(
                f"{index!r} is not the number of an excerpt: for several, index "
                f"torch.utils.data.Subset(songs, range(2)), or a DataLoader"
            )
        track, start = self._places[index]
        left = track.info.samples - start
        samples = left if self.samples is None else min(self.samples, left)
        missing = 0 if self.samples is None else self.samples - samples
        return {
            "mixture": _padded(track.read_mixture(start, samples), missing),
            "stems": _padded(track.read_stems(self.stems, start, samples), missing),
            "name": track.name,
            "start": start,
        }

    @staticmethod
    def collate(items: Sequence[Item]) -> dict[str, Any]:
        """A batch of items of any lengths, for ``DataLoader(..., collate_fn=Excerpts.collate)``.

        Returns:
            ``mixture`` (batch, channel, sample) and ``stems`` (batch, stem, channel, sample) as
            tensors, shorter songs ending in silence; ``samples``, ``start`` (batch,); ``name``.
        """
        import torch

        lengths = [item["mixture"].shape[-1] for item in items]
        padded = {
            key: np.stack(
                [_padded(item[key], max(lengths) - item[key].shape[-1]) for item in items]
            )
            for key in ("mixture", "stems")
        }
        return {
            **{key: torch.from_numpy(values) for key, values in padded.items()},
            "samples": torch.tensor(lengths),
            "start": torch.tensor([item["start"] for item in items]),
            "name": [item["name"] for item in items],
        }


def open_dataset(
    root: str | Path,
    split: str = "train",
    *,
    stems: Sequence[str] | None = None,
    chunk_seconds: float | None = 6.0,
) -> Excerpts:
    """A split of a data set, for ``DataLoader(open_dataset(root), batch_size=4, shuffle=True)``.

    Args:
        root: as for ``mss_shared.datasets.open_dataset``: a folder, or a name such as ``demo``.
        split: ``train``, ``valid`` or ``test``.
        stems: which, in order; None for all that every track has.
        chunk_seconds: length of an excerpt; excerpts follow each other through every song. None for
            whole songs, which need ``collate_fn=Excerpts.collate`` in batches of more than one.

    Raises:
        FileNotFoundError, ImportError, ValueError: if there is no such data set or split, tracks
            differ in rate or channels, or lack a stem.
    """
    if split not in ("train", "valid", "test"):
        raise ValueError(f"there is no split {split!r}: choose from train, valid, test")
    return Excerpts(opening.open_dataset(root), split, stems, chunk_seconds)


def _choose(tracks: Sequence[Track], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The stems of every track, the usual four first, or those that are wanted."""
    every: list[Mapping[str, Any]] = [track.stems for track in tracks]
    names = sorted(set(every[0]), key=lambda stem: (stem not in STEMS, (*STEMS, stem).index(stem)))
    shared = tuple(name for name in names if all(name in stems for stems in every))
    for name in wanted or ():
        for track in tracks:
            if name not in track.stems:
                raise ValueError(
                    f"track {track.name} has no stem {name!r}: choose stems from "
                    f"{', '.join(shared) or 'none that all tracks have'}"
                )
    if not wanted and not shared:
        raise ValueError("the tracks have no stem in common: choose other tracks")
    return tuple(wanted or shared)


def _padded(sound: Audio, missing: int) -> Audio:
    """A sound with silence at its end."""
    if not missing:
        return sound
    return np.pad(sound, [(0, 0)] * (sound.ndim - 1) + [(0, missing)])
