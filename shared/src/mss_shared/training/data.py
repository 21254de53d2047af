"""The data of the training loop: examples by index, divided among ranks and workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import lightning as pl
import torch
from torch.utils.data import DataLoader, Sampler, default_collate
from torch.utils.data import Dataset as TorchDataset

from mss_shared import console
from mss_shared.cores import cpu_count
from mss_shared.interfaces import Example, ExampleSets
from mss_shared.stopping import uninterrupted
from mss_shared.training.heard import Listener

_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class EpochSampler(Sampler[int]):
    """The indices of the current epoch's examples that this rank draws.

    Args:
        examples: of an epoch, on all ranks.
        rank, world: of all ranks, which this is.
        epoch: the first one. Worker processes ask for indices as soon as they start, which is
            before Lightning calls ``set_epoch`` and may be before it has loaded the checkpoint.
        drawn: how many of this rank's examples of the first epoch were drawn by an earlier run.
    """

    def __init__(self, examples: int, rank: int, world: int, epoch: int, drawn: int) -> None:
        self.examples, self.rank, self.world = examples, rank, world
        self.first = self.epoch = epoch
        self.drawn = drawn

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning when an epoch starts."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(range(self.rank, self.examples, self.world))

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.examples
        indices = range(first + self.rank, first + self.examples, self.world)
        return iter(indices[self.drawn if self.epoch == self.first else 0 :])


class Examples(pl.LightningDataModule):
    """A paper's examples in batches, this rank's share of them.

    Args:
        sets: the examples of training and validation.
        listener: hears which tracks they are drawn from.
        batch: examples per optimizer step, over all devices.
        workers: data-loading processes; None for 0 on the CPU, up to 8 per device elsewhere.

    Raises:
        ValueError: if an epoch is not a whole number of batches, one or more.

    Attributes:
        steps: optimizer steps in an epoch.
        first_epoch: that this process trains; a resumed run's is not 0.
        first_batch: of that epoch; 0 unless a run is resumed within it.
    """

    def __init__(
        self, sets: ExampleSets, listener: Listener, batch: int, workers: int | None
    ) -> None:
        super().__init__()
        if sets.per_epoch < 1 or sets.per_epoch % batch:
            raise ValueError(
                f"examples_per_epoch is {sets.per_epoch} and batch {batch}: an "
                f"epoch must be a whole number of batches"
            )
        self.sets = sets
        self.listener = listener
        self.steps = sets.per_epoch // batch
        self.batch = batch
        self.workers = workers
        self.first_epoch = self.first_batch = 0

    def train_dataloader(self) -> DataLoader[Example]:
        """This rank's share of the current epoch, in batches."""
        drawn = self.first_batch * self._batch()
        sampler = EpochSampler(self.sets.per_epoch, *self._rank(), self.first_epoch, drawn)
        return self._loader(self.sets.train, sampler)

    def val_dataloader(self) -> DataLoader[Example]:
        """This rank's share of the validation examples, in batches.

        A rank without a share gets one example, which does not count, as ranks wait for each other.
        """
        rank, world = self._rank()
        valid = self.sets.valid
        share = range(rank, len(valid), world) or range(1)
        return self._loader(valid, share, self.sets.valid_batch)

    @property
    def validates(self) -> bool:
        """Whether this rank has a share of the validation examples."""
        return self._rank()[0] < len(self.sets.valid)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Raise the error of a worker process as ValueError, in its own words."""
        if isinstance(batch, _Failure):
            raise ValueError(batch.sentence)
        return batch

    def tracks_of(self, step: int) -> list[str]:
        """The tracks of the examples of an optimizer step, the first of which is 1, by name."""
        with self.listener.listen() as names:
            for index in range((step - 1) * self.batch, step * self.batch):
                self.sets.train[index]
        return sorted(names)

    def _rank(self) -> tuple[int, int]:
        trainer = self._attached()
        return trainer.global_rank, trainer.world_size

    def _loader(self, dataset: Any, sampler: Any, batch: int | None = None) -> DataLoader[Example]:
        trainer = self._attached()
        on_cpu = trainer.strategy.root_device.type == "cpu"
        workers = self.workers
        if workers is None:
            workers = 0 if on_cpu else min(8, cpu_count())
        return _Loader(
            _Told(dataset) if workers else dataset,
            collate_fn=_collate,
            worker_init_fn=_end_quietly,
            batch_size=batch or self._batch(),
            sampler=sampler,
            num_workers=workers,
            pin_memory=not on_cpu,
            generator=torch.Generator(),
        )

    def _batch(self) -> int:
        """Examples per device and forward pass."""
        trainer = self._attached()
        return self.batch // (trainer.world_size * trainer.accumulate_grad_batches)

    def _attached(self) -> pl.Trainer:
        assert self.trainer is not None, "asked for data outside of a fit"
        return self.trainer


class _Loader(DataLoader[Example]):
    """Signals wait while its worker processes begin, until each knows what to do with them.

    They are blocked for the workers, which inherit that. In this process another thread may still
    receive one, so that Python would call its handler here.
    """

    def __iter__(self) -> Any:
        if os.name != "posix" or not self.num_workers:
            return super().__iter__()
        with uninterrupted():
            before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
            try:
                return super().__iter__()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Failure:
    """Stands for an example that could not be read; it travels from a worker process as a value."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence


class _Told(TorchDataset[Any]):
    """Examples, or the failure to read them: an exception would arrive with a stack trace."""

    def __init__(self, examples: Any) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Any:
        try:
            return self.examples[index]
        except (ValueError, OSError) as error:
            return _Failure(console.sentence(error))


def _collate(items: list[Any]) -> Any:
    """One batch of the items, or the first failure among them."""
    failures = [item for item in items if isinstance(item, _Failure)]
    return failures[0] if failures else default_collate(items)


def _end_quietly(worker: int) -> None:
    """Let a signal end a worker process at once: the handlers it inherited are the run's.

    Ctrl-C, which reaches all processes of a terminal, is left to the first, which ends its workers.
    A SIGTERM or SIGHUP may reach the whole process group too. A worker that ended by it would make
    torch raise an error, wherever the first process is just then; one that ends with 0 does not,
    and is missed when its next batch is due.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)  # the run's
    for number in _ENDING:
        signal.signal(number, lambda *_: os._exit(0))
    if os.name == "posix":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
