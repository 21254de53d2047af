"""Overlap-add of any model over a track of any length, block by block."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mss_shared.console import Report
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.chunks import Plan, Reader, plan_chunks
from mss_shared.separation.permutation import best_order
from mss_shared.separation.separator import Separator, device_of, interchangeable


def separate(
    model: Separator,
    mixture: Tensor,
    config: InferenceConfig,
    *,
    batch: int = 1,
    progress: Report | None = None,
) -> Tensor:
    """Separate a mixture that is already in memory.

    Args:
        model: anything that keeps the border; called in the mode and on the device it is in.
        mixture: (channel, sample) float32 at the model's sample rate.
        config: length of the pieces and their overlap.
        batch: pieces per call of the model.
        progress: called with ('', pieces done, pieces in all).

    Returns:
        (stem, channel, sample), as long as the mixture, on the CPU.

    Raises:
        ValueError: if the mixture is not (channel, sample) with the model's channels, or is empty.
    """
    if mixture.ndim != 2 or mixture.shape[0] != model.channels or not mixture.shape[1]:
        raise ValueError(
            f"the mixture is {tuple(mixture.shape)}, the model takes ({model.channels}, sample): "
            f"pass (channel, sample) audio with at least one sample"
        )
    blocks = separate_blocks(
        model,
        lambda start, samples: mixture[:, start : start + samples],
        mixture.shape[1],
        config,
        batch=batch,
        progress=progress,
    )
    parts = list(blocks)
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def separate_blocks(
    model: Separator,
    read: Reader,
    samples: int,
    config: InferenceConfig,
    *,
    batch: int = 1,
    progress: Report | None = None,
) -> Iterator[Tensor]:
    """Separate a track that is read piece by piece; ``batch`` chunks and a sum are in memory.

    What is kept of the chunks is weighted where it overlaps and divided by the sum of the weights
    at each sample, so that a model that returns its input is passed through up to rounding, at
    the first and last sample too, and whatever the batch. Stems without an order of their own keep
    the one they have in the first chunk, by what each chunk and the one before both heard.

    Args:
        model: as in ``separate``.
        read: (start, samples) -> (channel, samples) of the mixture.
        samples: length of the track.
        config, batch, progress: as in ``separate``.

    Yields:
        (stem, channel, sample) on the CPU; in order, and together as long as the track.
    """
    if batch < 1:
        raise ValueError(f"batch is {batch}: give at least one piece per pass")
    plan = plan_chunks(samples, config, model.sample_rate)
    count = len(plan.starts)
    if count == 1 and plan.size == samples:  # a song at once is in memory once
        yield _run(model, read(0, samples)[None])[0]
        if progress is not None:
            progress("", 1, 1)
        return
    numbers = range(count)
    sums = _Sums()
    order = _Order(plan) if interchangeable(model) else None
    for group in (numbers[first : first + batch] for first in numbers[::batch]):
        chunks = torch.stack([plan.fetch(number, read) for number in group])
        for number, estimate in zip(group, _run(model, chunks), strict=True):
            if order is not None:
                estimate = order.keep(number, estimate)
            first, end = plan.kept(number)
            offset = plan.starts[number]
            sums.add(first, estimate[..., first - offset : end - offset], plan.weights(number))
            following = plan.kept(number + 1)[0] if number + 1 < count else samples
            if following > sums.start:
                yield sums.take(following)
            if progress is not None:
                progress("", number + 1, count)


class _Order:
    """Keeps stems without an order of their own in that of the chunk before."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.before = torch.zeros(0)
        if any(self._common(number) < 1 for number in range(1, len(plan.starts))):
            raise ValueError(
                "the model's stems have no order of their own and chunks that hear nothing of each "
                "other can't be told one: give --overlap or --context_seconds above 0"
            )

    def keep(self, number: int, estimate: Tensor) -> Tensor:
        """(stem, channel, sample) of a whole chunk -> the same in order."""
        if number:
            common = self._common(number)
            heard, before = estimate[None, ..., :common], self.before[None, ..., -common:]
            estimate = estimate[best_order(heard, before)[0]]
        self.before = estimate
        return estimate

    def _common(self, number: int) -> int:
        """Samples that a chunk and the one before both hear."""
        return self.plan.starts[number - 1] + self.plan.size - self.plan.starts[number]


class _Sums:
    """Weighted estimates and weights from sample ``start`` of the song on."""

    def __init__(self) -> None:
        self.start = 0
        self.total = torch.zeros(0)
        self.weights = torch.zeros(0)

    def add(self, first: int, estimate: Tensor, weights: Tensor) -> None:
        """Add (stem, channel, sample) that begins at sample ``first``, not before ``start``."""
        offset = first - self.start
        missing = offset + len(weights) - len(self.weights)
        if not self.total.numel():
            self.total = estimate.new_zeros((*estimate.shape[:-1], 0))
        if missing > 0:
            self.total = torch.nn.functional.pad(self.total, (0, missing))
            self.weights = torch.nn.functional.pad(self.weights, (0, missing))
        self.total[..., offset : offset + len(weights)] += estimate * weights
        self.weights[offset : offset + len(weights)] += weights

    def take(self, end: int) -> Tensor:
        """(stem, channel, sample) the means up to sample ``end``, which becomes the start."""
        step = end - self.start
        block = self.total[..., :step] / self.weights[:step]
        self.total, self.weights = self.total[..., step:].clone(), self.weights[step:].clone()
        self.start = end
        return block


def _run(model: Separator, pieces: Tensor) -> Tensor:
    """(batch, channel, sample) -> (batch, stem, channel, sample) on the CPU."""
    with torch.inference_mode():
        return model(pieces.to(device_of(model))).float().cpu()
