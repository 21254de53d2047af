"""The training loop's data: numbered examples, divided over ranks and workers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import lightning as pl
import torch
from torch.utils.data import DataLoader, Sampler

from mss_shared.datasets import Dataset
from mss_shared.recipe_sections import DataConfig, LoopConfig
from mss_shared.training.random_mixes import ConsecutiveChunks, Example, RandomMixes


class EpochNumbers(Sampler[int]):
    """The example numbers of the current epoch that this rank draws."""

    def __init__(self, examples: int, rank: int, world: int) -> None:
        self.examples, self.rank, self.world = examples, rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning when an epoch starts."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(range(self.rank, self.examples, self.world))

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.examples
        return iter(range(first + self.rank, first + self.examples, self.world))


class Examples(pl.LightningDataModule):
    """Random mixes for training, whole validation tracks in chunks."""

    def __init__(
        self,
        dataset: Dataset,
        config: DataConfig,
        loop: LoopConfig,
        targets: Sequence[str],
        seed: int,
        workers: int | None,
    ) -> None:
        super().__init__()
        if config.examples_per_epoch % loop.batch:
            raise ValueError(
                f"examples_per_epoch is {config.examples_per_epoch} and batch {loop.batch}: an "
                f"epoch must be a whole number of batches"
            )
        self.train_set = RandomMixes(dataset.train, config, targets, seed)
        self.valid_set = ConsecutiveChunks(dataset.valid, config, targets)
        self.examples_per_epoch = config.examples_per_epoch
        self.batch = loop.batch
        self.workers = workers

    def train_dataloader(self) -> DataLoader[Example]:
        """Batches of the current epoch, this rank's share."""
        numbers = EpochNumbers(self.examples_per_epoch, *self._rank())
        return self._loader(self.train_set, numbers)

    def val_dataloader(self) -> DataLoader[Example]:
        """All validation chunks, this rank's share."""
        rank, world = self._rank()
        return self._loader(self.valid_set, range(rank, len(self.valid_set), world))

    def _rank(self) -> tuple[int, int]:
        trainer = self._attached()
        return trainer.global_rank, trainer.world_size

    def _loader(self, dataset: Any, numbers: Any, batch: int | None = None) -> DataLoader[Example]:
        trainer = self._attached()
        on_cpu = trainer.strategy.root_device.type == "cpu"
        workers = self.workers
        if workers is None:
            workers = 0 if on_cpu else min(8, os.cpu_count() or 1)
        return DataLoader(
            dataset,
            batch_size=batch
            or self.batch // (trainer.world_size * trainer.accumulate_grad_batches),
            sampler=numbers,
            num_workers=workers,
            pin_memory=not on_cpu,
            generator=torch.Generator(),
        )

    def _attached(self) -> pl.Trainer:
        assert self.trainer is not None, "asked for data outside of a fit"
        return self.trainer
