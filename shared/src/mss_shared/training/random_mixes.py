"""Training examples: excerpts of stems, mixed at random and augmented, read from disk by seeking.

Example number ``n`` is a pure function of (tracks, config, seed, n): worker count, batch size and
the number of machines change who draws it, not what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from mss_shared import audio
from mss_shared.audio import Audio
from mss_shared.datasets import Dataset, Track
from mss_shared.recipe_sections import DataConfig

Example = dict[str, Tensor]


class RandomMixes(TorchDataset[Example]):
    """An endless supply of training examples, addressed by number.

    Args:
        tracks: the training tracks; all must have the stems of ``config``.
        config: the recipe's data section.
        targets: the stems that the model estimates, in its order.
        seed: with the example's number, all the randomness there is.
    """

    def __init__(
        self, tracks: Sequence[Track], config: DataConfig, targets: Sequence[str], seed: int
    ) -> None:
        self.tracks = tuple(tracks)
        self.config = config
        self.targets = _places(targets, config)
        self.seed = seed

    def __getitem__(self, number: int) -> Example:
        """{"mixture": (channel, sample), "stems": (stem, channel, sample)}, float32."""
        rng = np.random.default_rng([self.seed, number])
        stems = torch.from_numpy(self.draw(number, rng))
        return {"mixture": stems.sum(dim=0), "stems": stems[self.targets]}

    def draw(self, number: int, rng: np.random.Generator) -> Audio:
        """Example ``number``'s (stem, channel, sample) in the order of ``config.stems``.

        Papers that draw or treat stems in a way of their own change this alone.
        """
        return draw_stems(self.tracks, self.config, rng)


def _places(targets: Sequence[str], config: DataConfig) -> list[int]:
    """Where a model's stems are among those of the recipe's data."""
    for stem in targets:
        if stem not in config.stems:
            raise ValueError(
                f"the model estimates {stem}, data.stems are {', '.join(config.stems)}: name it "
                f"there too"
            )
    return [config.stems.index(stem) for stem in targets]


class ConsecutiveChunks(TorchDataset[Example]):
    """The whole of every track once, unaltered, cut into chunks; a track's last one is padded."""

    def __init__(self, tracks: Sequence[Track], config: DataConfig, targets: Sequence[str]) -> None:
        self.config = config
        self.targets = _places(targets, config)
        self.places = [
            (track, start)
            for track in tracks
            for start in range(0, track.info.samples, _chunk_samples(track, config))
        ]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> Example:
        """{"mixture": (channel, sample), "stems": (stem, channel, sample)}, float32."""
        track, start = self.places[number]
        size = _chunk_samples(track, self.config)
        stems = torch.from_numpy(
            np.stack([_read(track, stem, start, size) for stem in self.config.stems])
        )
        return {"mixture": stems.sum(dim=0), "stems": stems[self.targets]}


class SizedExamples(Protocol):
    """Examples that can be counted."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Example: ...


@dataclass(frozen=True)
class ExampleSets:
    """What is drawn in a training run.

    Attributes:
        train: examples by number, without end.
        valid: all that a validation sees.
        per_epoch: training examples between two validations.
        valid_batch: validation examples at a time; None for as many as in training.
    """

    train: TorchDataset[Example]
    valid: SizedExamples
    per_epoch: int
    valid_batch: int | None = None


def default_examples(
    dataset: Dataset, config: DataConfig, targets: Sequence[str], seed: int
) -> ExampleSets:
    """Random mixes of the training tracks, the validation tracks in chunks.

    Args:
        dataset: training and validation tracks.
        config: the recipe's data section.
        targets: the stems that the model estimates, in its order.
        seed: of the mixes.

    Raises:
        ValueError: if a target is none of the recipe's stems.
    """
    return ExampleSets(
        RandomMixes(dataset.train, config, targets, seed),
        ConsecutiveChunks(dataset.valid, config, targets),
        config.examples_per_epoch,
    )


def draw_stems(tracks: Sequence[Track], config: DataConfig, rng: np.random.Generator) -> Audio:
    """Draw one example's stems.

    Returns:
        (stem, channel, sample) float32 in the order of ``config.stems``. With
        ``random_mix_prob`` the stems come from tracks and places of their own, else from one
        place of one track, up to ``time_shift_seconds``.
    """
    home = any_of(tracks, rng)
    place = rng.random()
    scattered = rng.random() < config.random_mix_prob
    stems = []
    for stem in config.stems:
        if scattered:
            home, place = any_of(tracks, rng), rng.random()
        excerpt = augment(draw_excerpt(home, stem, place, config, rng), config, rng)
        for probability in config.mixup_prob:
            if rng.random() < probability:
                other = any_of(tracks, rng)
                more = draw_excerpt(other, stem, rng.random(), config, rng)
                excerpt = excerpt + augment(more, config, rng)
        stems.append(excerpt)
    return np.stack(stems)


def draw_excerpt(
    track: Track, stem: str, place: float, config: DataConfig, rng: np.random.Generator
) -> Audio:
    """(channel, sample) of one stem, shifted in time and pitch as the recipe says.

    ``place`` in [0, 1) says where in the track it lies.
    """
    size = _chunk_samples(track, config)
    ratio = 1.0
    if rng.random() < config.pitch_shift_prob:
        ratio = 2.0 ** (rng.uniform(-1.0, 1.0) * config.pitch_shift_semitones / 12.0)
    count = round(size * ratio)
    start = _start(track, place, count, config)
    shift = rng.uniform(-1.0, 1.0) * config.time_shift_seconds * track.info.sample_rate
    start = int(np.clip(start + round(shift), 0, max(0, track.info.samples - count)))
    excerpt = _read(track, stem, start, count)
    if count != size:
        excerpt = audio.fit_length(audio.resample(excerpt, count, size), size)
    return excerpt


def augment(excerpt: Audio, config: DataConfig, rng: np.random.Generator) -> Audio:
    """Gain, channel swap, polarity, silence: each drawn for this stem alone."""
    low, high = config.gain_range
    gain = rng.uniform(low, high)
    if rng.random() < config.polarity_prob:
        gain = -gain
    if rng.random() < config.silent_stem_prob:
        gain = 0.0
    if rng.random() < config.channel_swap_prob:
        excerpt = excerpt[::-1]
    return (excerpt * np.float32(gain)).astype(np.float32)


def any_of(tracks: Sequence[Track], rng: np.random.Generator) -> Track:
    """One of the tracks, each as likely as the others."""
    return tracks[int(rng.integers(len(tracks)))]


def _start(track: Track, place: float, count: int, config: DataConfig) -> int:
    """The first sample for a place in [0, 1): anywhere, or on the grid if there is one."""
    grid = round(config.chunk_grid_seconds * track.info.sample_rate) or 1
    choices = max(0, track.info.samples - count) // grid + 1
    return int(place * choices) * grid


def _chunk_samples(track: Track, config: DataConfig) -> int:
    return round(config.chunk_seconds * track.info.sample_rate)


def _read(track: Track, stem: str, start: int, count: int) -> Audio:
    """(channel, count) float32, zero-padded where the track ends too soon."""
    available = max(0, min(count, track.info.samples - start))
    return audio.fit_length(track.read_stem(stem, start, available), count)
