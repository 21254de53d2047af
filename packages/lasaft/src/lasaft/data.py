"""Training examples, one stem of a random mix each, and zero-padded validation windows.

The authors' "filed mode" reads excerpts from copies of the tracks, their other mode keeps all
tracks in memory; here excerpts are read from the tracks themselves, by seeking.
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
from mss_shared.interfaces import Example, ExampleSets
from mss_shared.recipe_sections import DataConfig
from mss_shared.training import ConsecutiveChunks, RandomMixes


class ConditionedMixes(TorchDataset[Example]):
    """Random mixes, each with one of its stems; every stem is equally likely.

    Args:
        tracks: of the training set.
        config: how mixes are drawn.
        targets: names of the stems, in the order of the conditions.
        seed: of mixes and stems.
    """

    def __init__(
        self, tracks: Sequence[Track], config: DataConfig, targets: Sequence[str], seed: int
    ) -> None:
        self.mixes = RandomMixes(tracks, config, targets, seed)
        self.targets = len(targets)
        self.seed = seed

    def __getitem__(self, index: int) -> Example:
        """{"mixture", "target": (channel, sample), "condition": () int64, the stem's index}."""
        example = self.mixes[index]
        stem = np.random.default_rng([self.seed, index, 1]).integers(self.targets)
        condition = torch.tensor(int(stem))
        return {
            "mixture": example["mixture"],
            "target": example["stems"][condition],
            "condition": condition,
        }


class PaddedChunks(TorchDataset[Example]):
    """Consecutive chunks of tracks with zeros before and after, not the music around them.

    Args:
        tracks: of the validation set.
        config: how tracks are read.
        targets: names of the stems.
        chunk_seconds: length without the zeros.
        trim_samples: zeros on each side.
    """

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

    def __getitem__(self, index: int) -> Example:
        """{"mixture": (channel, sample), "stems": (stem, channel, sample)}, with the zeros."""
        return {name: self._padded(audio) for name, audio in self.chunks[index].items()}

    def _padded(self, audio: Tensor) -> Tensor:
        return pad(audio, (self.trim, self.trim))


def conditioned_examples(
    default: ExampleSets, dataset: Dataset, recipe: Recipe, model: Separator, seed: int
) -> ExampleSets:
    """Conditioned training examples and padded validation windows.

    With ``examples_per_epoch: 0`` an epoch has one example for every window of the tracks and
    every stem, in whole batches.

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
    """Whole windows in all tracks, times the number of stems."""
    return len(config.stems) * sum(
        track.info.samples // round(config.chunk_seconds * track.info.sample_rate)
        for track in tracks
    )
