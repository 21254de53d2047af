"""Conditioned examples: one stem of a random mix; validation windows with zeros at both ends.

The authors' "filed mode" writes a copy of every track and reads excerpts from it, their other mode
keeps all tracks in memory; here excerpts are read from the tracks by seeking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data import Dataset as TorchDataset

from lasaft.model import Separator
from lasaft.recipe import Recipe
from mss_shared.datasets import Dataset, Track
from mss_shared.recipe_sections import DataConfig
from mss_shared.training.random_mixes import ConsecutiveChunks, Example, ExampleSets, RandomMixes


class ConditionedMixes(TorchDataset[Example]):
    """Random mixes, each with one of its stems, drawn evenly."""

    def __init__(
        self, tracks: Sequence[Track], config: DataConfig, targets: Sequence[str], seed: int
    ) -> None:
        self.mixes = RandomMixes(tracks, config, targets, seed)
        self.targets = len(targets)
        self.seed = seed

    def __getitem__(self, number: int) -> Example:
        """{"mixture", "target": (channel, sample), "condition": ()}; the index of the stem."""
        example = self.mixes[number]
        drawn = np.random.default_rng([self.seed, number, 1]).integers(self.targets)
        condition = torch.tensor(int(drawn))
        return {
            "mixture": example["mixture"],
            "target": example["stems"][condition],
            "condition": condition,
        }


class PaddedChunks(TorchDataset[Example]):
    """Tracks in consecutive chunks, zeros before and after each, not the music around it."""

    def __init__(
        self,
        tracks: Sequence[Track],
        config: DataConfig,
        targets: Sequence[str],
        chunk_seconds: float,
        trim_samples: int,
    ) -> None:
        self.chunks = ConsecutiveChunks(
            tracks, replace(config, chunk_seconds=chunk_seconds), targets
        )
        self.trim = trim_samples

    def __len__(self) -> int:
        return len(self.chunks)

    def __getitem__(self, number: int) -> Example:
        """{"mixture": (channel, sample), "stems": (stem, channel, sample)}, padded."""
        return {name: self._padded(audio) for name, audio in self.chunks[number].items()}

    def _padded(self, audio: Tensor) -> Tensor:
        return pad(audio, (self.trim, self.trim))


def conditioned_examples(
    default: ExampleSets, dataset: Dataset, recipe: Recipe, model: Separator, seed: int
) -> ExampleSets:
    """An epoch of as many examples as the tracks hold windows for every stem, if none is given.

    Args:
        default, dataset, recipe, model, seed: as in ``Paper.choose_examples``.

    Raises:
        ValueError: if examples are not as long as the model's window, or trimming leaves nothing
            of it.
    """
    config, window = recipe.data, model.config
    samples = round(config.chunk_seconds * model.sample_rate)
    if samples != window.window_samples:
        raise ValueError(
            f"chunk_seconds is {config.chunk_seconds}, {samples} samples, the model's "
            f"window has {window.window_samples}: set data.chunk_seconds to "
            f"{window.window_samples / model.sample_rate:.8f}"
        )
    if window.useful_samples < 1:
        raise ValueError(
            f"a window of {window.window_samples} samples keeps none after trimming "
            f"{window.trim_samples} at each end: raise model.num_frame"
        )
    count = config.examples_per_epoch
    if not count:  # whole batches
        batch = recipe.training.batch
        count = max(batch, windows_per_epoch(dataset.train, config) // batch * batch)
    useful_seconds = window.useful_samples / model.sample_rate
    return replace(
        default,
        train=ConditionedMixes(dataset.train, config, model.stems, seed),
        valid=PaddedChunks(dataset.valid, config, model.stems, useful_seconds, window.trim_samples),
        per_epoch=count,
    )


def windows_per_epoch(tracks: Sequence[Track], config: DataConfig) -> int:
    """Whole windows in all tracks, once for every stem of the mixture."""
    return len(config.stems) * sum(
        track.info.samples // round(config.chunk_seconds * track.info.sample_rate)
        for track in tracks
    )
