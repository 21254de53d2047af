"""The data of the training loop: examples by index, divided among ranks and workers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import lightning as pl
import torch
from torch.utils.data import DataLoader, Sampler

from mss_shared.interfaces import Example, ExampleSets


class EpochSampler(Sampler[int]):
    """The indices of the current epoch's examples that this rank draws.

    Args:
        examples: of an epoch, on all ranks.
        rank, world: of all ranks, which this is.
        epoch: the first one. Worker processes ask for indices as soon as they start, which in a
            resumed run is before Lightning calls ``set_epoch``.
    """

    def __init__(self, examples: int, rank: int, world: int, epoch: int) -> None:
        self.examples, self.rank, self.world = examples, rank, world
        self.epoch = epoch

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning when an epoch starts."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(range(self.rank, self.examples, self.world))

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.examples
        return iter(range(first + self.rank, first + self.examples, self.world))


class Examples(pl.LightningDataModule):
    """A paper's examples in batches, this rank's share of them.

    Args:
        sets: the examples of training and validation.
        batch: examples per optimizer step, over all devices.
        workers: data-loading processes; None for 0 on the CPU, up to 8 per device elsewhere.

    Raises:
        ValueError: if an epoch is not a whole number of batches.
    """

    def __init__(self, sets: ExampleSets, batch: int, workers: int | None) -> None:
        super().__init__()
        if sets.per_epoch % batch:
            raise ValueError(
                f"examples_per_epoch is {sets.per_epoch} and batch {batch}: an "
                f"epoch must be a whole number of batches"
            )
        self.sets = sets
        self.batch = batch
        self.workers = workers

    def train_dataloader(self) -> DataLoader[Example]:
        """This rank's share of the current epoch, in batches."""
        epoch = self._attached().fit_loop.epoch_progress.current.processed
        sampler = EpochSampler(self.sets.per_epoch, *self._rank(), epoch)
        return self._loader(self.sets.train, sampler)

    def val_dataloader(self) -> DataLoader[Example]:
        """This rank's share of the validation examples, in batches."""
        rank, world = self._rank()
        valid = self.sets.valid
        return self._loader(valid, range(rank, len(valid), world), self.sets.valid_batch)

    def _rank(self) -> tuple[int, int]:
        trainer = self._attached()
        return trainer.global_rank, trainer.world_size

    def _loader(self, dataset: Any, sampler: Any, batch: int | None = None) -> DataLoader[Example]:
        trainer = self._attached()
        on_cpu = trainer.strategy.root_device.type == "cpu"
        workers = self.workers
        if workers is None:
            workers = 0 if on_cpu else min(8, os.cpu_count() or 1)
        return DataLoader(
            dataset,
            batch_size=batch
            or self.batch // (trainer.world_size * trainer.accumulate_grad_batches),
            sampler=sampler,
            num_workers=workers,
            pin_memory=not on_cpu,
            generator=torch.Generator(),
        )

    def _attached(self) -> pl.Trainer:
        assert self.trainer is not None, "asked for data outside of a fit"
        return self.trainer
