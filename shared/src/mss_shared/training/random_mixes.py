"""Training examples: random excerpts of stems, augmented and mixed, read from disk by seeking.

Example ``n`` is a pure function of (tracks, config, seed, n): worker count, batch size and the
number of machines change which process draws it, but not its samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from mss_shared import audio
from mss_shared.audio import Audio
from mss_shared.datasets import Dataset, Track
from mss_shared.interfaces import Example, ExampleSets
from mss_shared.recipe_sections import DataConfig


class RandomMixes(TorchDataset[Example]):
    """An endless supply of training examples, by index.

    Args:
        tracks: the training tracks; all must have the stems of ``config``.
        config: the recipe's data section.
        targets: the stems that the model estimates, in its order.
        seed: with the index of an example, the only source of randomness.
    """

    def __init__(
        self, tracks: Sequence[Track], config: DataConfig, targets: Sequence[str], seed: int
    ) -> None:
        self.tracks = tuple(tracks)
        self.config = config
        self.targets = _stem_indices(targets, config)
        self.seed = seed

    def __getitem__(self, index: int) -> Example:
        """{"mixture": (channel, sample), "stems": (stem, channel, sample)}, float32."""
        rng = np.random.default_rng([self.seed, index])
        stems = torch.from_numpy(self.draw(index, rng))
        return {"mixture": stems.sum(dim=0), "stems": _pick(stems, self.targets)}

    def draw(self, index: int, rng: np.random.Generator) -> Audio:
        """The stems of example ``index``: (stem, channel, sample), in order of ``config.stems``.

        Papers that draw or augment stems in their own way override only this.
        """
        return draw_stems(self.tracks, self.config, rng)


def _pick(stems: Tensor, indices: Sequence[int]) -> Tensor:
    """Some stems; consecutive ones are not copied."""
    first, last = indices[0], indices[-1] + 1
    return stems[first:last] if [*indices] == [*range(first, last)] else stems[list(indices)]


def _stem_indices(targets: Sequence[str], config: DataConfig) -> list[int]:
    """The indices of a model's stems among those of the recipe's data."""
    for stem in targets:
        if stem not in config.stems:
            raise ValueError(
                f"the model estimates {stem}, data.stems are {', '.join(config.stems)}: add it to "
                f"data.stems"
            )
    return [config.stems.index(stem) for stem in targets]


class ConsecutiveChunks(TorchDataset[Example]):
    """Every track once, without augmentation, in chunks; a track's last chunk is zero-padded."""

    def __init__(self, tracks: Sequence[Track], config: DataConfig, targets: Sequence[str]) -> None:
        self.config = config
        self.targets = _stem_indices(targets, config)
        self.chunks = [
            (track, start)
            for track in tracks
            for start in range(0, track.info.samples, _chunk_samples(track, config))
        ]

    def __len__(self) -> int:
        return len(self.chunks)

    def __getitem__(self, index: int) -> Example:
        """{"mixture": (channel, sample), "stems": (stem, channel, sample)}, float32."""
        track, start = self.chunks[index]
        size = _chunk_samples(track, self.config)
        stems = torch.from_numpy(
            np.stack([_read(track, stem, start, size) for stem in self.config.stems])
        )
        return {"mixture": stems.sum(dim=0), "stems": stems[self.targets]}


def default_examples(
    dataset: Dataset, config: DataConfig, targets: Sequence[str], seed: int
) -> ExampleSets:
    """Random mixes of the training tracks, the validation tracks in chunks.

    Args:
        dataset: training and validation tracks.
        config: the recipe's data section.
        targets: the stems that the model estimates, in its order.
        seed: for the random mixes.

    Raises:
        ValueError: if a target is not among the recipe's stems.
    """
    return ExampleSets(
        RandomMixes(dataset.train, config, targets, seed),
        ConsecutiveChunks(dataset.valid, config, targets),
        config.examples_per_epoch,
    )


def draw_stems(tracks: Sequence[Track], config: DataConfig, rng: np.random.Generator) -> Audio:
    """Draw one example's stems.

    Returns:
        (stem, channel, sample) float32 in the order of ``config.stems``. With probability
        ``random_mix_prob`` each stem comes from its own track and position, otherwise all come
        from one position of one track, up to ``time_shift_seconds``.
    """
    track = draw_track(tracks, rng)
    position = rng.random()
    is_random_mix = rng.random() < config.random_mix_prob
    stems: Audio | None = None
    for index, stem in enumerate(config.stems):
        if is_random_mix:
            track, position = draw_track(tracks, rng), rng.random()
        drawn = draw_excerpt(track, stem, position, config, rng)
        if stems is None:  # one array from the start: copying costs as much as reading
            stems = np.empty((len(config.stems), *drawn.shape), np.float32)
        excerpt = augment(drawn, config, rng, stems[index])
        for probability in config.mixup_prob:
            if rng.random() < probability:
                other = draw_track(tracks, rng)
                more = draw_excerpt(other, stem, rng.random(), config, rng)
                excerpt += augment(more, config, rng)
    assert stems is not None, "a recipe has stems"
    return stems


def draw_excerpt(
    track: Track, stem: str, position: float, config: DataConfig, rng: np.random.Generator
) -> Audio:
    """(channel, sample) of one stem, shifted in time and pitch as the recipe says.

    ``position`` in [0, 1) is where in the track it lies.
    """
    size = _chunk_samples(track, config)
    ratio = 1.0
    if rng.random() < config.pitch_shift_prob:
        ratio = 2.0 ** (rng.uniform(-1.0, 1.0) * config.pitch_shift_semitones / 12.0)
    count = round(size * ratio)
    start = _start(track, position, count, config)
    shift = rng.uniform(-1.0, 1.0) * config.time_shift_seconds * track.info.sample_rate
    start = int(np.clip(start + round(shift), 0, max(0, track.info.samples - count)))
    excerpt = _read(track, stem, start, count)
    if count != size:
        excerpt = audio.fit_length(audio.resample(excerpt, count, size), size)
    return excerpt


def augment(
    excerpt: Audio, config: DataConfig, rng: np.random.Generator, out: Audio | None = None
) -> Audio:
    """Draw gain, polarity, silence and channel swap of one excerpt, apply them, write ``out``."""
    low, high = config.gain_range
    gain = rng.uniform(low, high)
    if rng.random() < config.polarity_prob:
        gain = -gain
    if rng.random() < config.silent_stem_prob:
        gain = 0.0
    if rng.random() < config.channel_swap_prob:
        excerpt = excerpt[::-1]
    result: Audio = np.multiply(excerpt, np.float32(gain), out=out, dtype=np.float32)
    return result


def draw_track(tracks: Sequence[Track], rng: np.random.Generator) -> Track:
    """One of the tracks, all equally likely."""
    return tracks[int(rng.integers(len(tracks)))]


def _start(track: Track, position: float, count: int, config: DataConfig) -> int:
    """The first sample of a position in [0, 1): any sample, or one on the recipe's grid."""
    grid = round(config.chunk_grid_seconds * track.info.sample_rate) or 1
    choices = max(0, track.info.samples - count) // grid + 1
    return int(position * choices) * grid


def _chunk_samples(track: Track, config: DataConfig) -> int:
    return round(config.chunk_seconds * track.info.sample_rate)


def _read(track: Track, stem: str, start: int, count: int) -> Audio:
    """(channel, count) float32, zero-padded after the end of the track."""
    available = max(0, min(count, track.info.samples - start))
    return audio.fit_length(track.read_stem(stem, start, available), count)
