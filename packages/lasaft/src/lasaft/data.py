"""Conditioned examples: one stem of a random mix; validation windows with zeros at both ends.

The authors' "filed mode" writes a copy of every track and reads excerpts from it, their other mode
keeps all tracks in memory; here excerpts are read from the tracks by seeking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from mss_shared.datasets import Dataset, Track
from mss_shared.recipe_sections import DataConfig, LoopConfig
from mss_shared.training.data import Examples
from mss_shared.training.random_mixes import ConsecutiveChunks, Example, RandomMixes


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


class ConditionedExamples(Examples):
    """An epoch of as many examples as the tracks hold windows for every stem, if none is given."""

    def __init__(
        self,
        dataset: Dataset,
        config: DataConfig,
        loop: LoopConfig,
        targets: Sequence[str],
        seed: int,
        workers: int | None,
    ) -> None:
        count = config.examples_per_epoch or windows_per_epoch(dataset.train, config)
        if not config.examples_per_epoch:  # whole batches
            count = max(loop.batch, count // loop.batch * loop.batch)
        config = replace(config, examples_per_epoch=count)
        super().__init__(dataset, config, loop, targets, seed, workers)
        self.train_set: Any = ConditionedMixes(dataset.train, config, targets, seed)
        self.dataset, self.config, self.targets = dataset, config, targets

    def train_dataloader(self) -> DataLoader[Example]:
        """Batches of the current epoch, this rank's share.

        Raises:
            ValueError: if examples are not as long as the model's window.
        """
        model = self._model()
        samples = round(self.config.chunk_seconds * model.sample_rate)
        if samples != model.config.window_samples:
            raise ValueError(
                f"chunk_seconds is {self.config.chunk_seconds}, {samples} samples, the model's "
                f"window has {model.config.window_samples}: set data.chunk_seconds to "
                f"{model.config.window_samples / model.sample_rate:.8f}"
            )
        return super().train_dataloader()

    def val_dataloader(self) -> DataLoader[Example]:
        """All chunks of the validation tracks with all of their stems, this rank's share."""
        model = self._model()
        if model.config.useful_samples < 1:
            raise ValueError(
                f"a window of {model.config.window_samples} samples keeps none after trimming "
                f"{model.config.trim_samples} at each end: raise model.num_frame"
            )
        chunks = PaddedChunks(
            self.dataset.valid,
            self.config,
            self.targets,
            model.config.useful_samples / model.sample_rate,
            model.config.trim_samples,
        )
        rank, world = self._rank()
        return self._loader(chunks, range(rank, len(chunks), world))

    def _model(self) -> Any:
        module: Any = self._attached().lightning_module
        return module.model


def windows_per_epoch(tracks: Sequence[Track], config: DataConfig) -> int:
    """Whole windows in all tracks, once for every stem of the mixture."""
    return len(config.stems) * sum(
        track.info.samples // round(config.chunk_seconds * track.info.sample_rate)
        for track in tracks
    )
