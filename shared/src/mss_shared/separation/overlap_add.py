"""Overlap-add of any model over tracks of any length, block by block."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mss_shared.console import Report
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.chunks import Plan, Reader, plan_chunks
from mss_shared.separation.permutation import best_order
from mss_shared.separation.separator import Separator, get_device, interchangeable


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
        model: anything with the interface of ``Separator``, on any device; its train or eval mode
            is left as it is.
        mixture: (channel, sample) float32 at the model's sample rate.
        config: length, overlap and context of the chunks.
        batch: chunks per call of the model.
        progress: called with ('', chunks done, chunks in total).

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
    first = next(blocks)
    done, samples = first.shape[-1], mixture.shape[1]
    if done == samples:
        return first
    separated = first.new_empty((*first.shape[:-1], samples))
    separated[..., :done] = first
    del first  # before the next is made
    for block in blocks:
        separated[..., done : done + block.shape[-1]] = block
        done += block.shape[-1]
        del block
    return separated


def separate_blocks(
    model: Separator,
    read: Reader,
    samples: int,
    config: InferenceConfig,
    *,
    batch: int = 1,
    progress: Report | None = None,
) -> Iterator[Tensor]:
    """Separate a track as it is read; ``batch`` chunks and the running sum are in memory.

    The kept parts of the chunks are windowed, added up, and divided by the sum of the windows at
    each sample, so that a model that returns its input is the identity up to rounding, at the first
    and last sample too, and for any batch. Interchangeable stems (permutation-invariant outputs)
    keep their order from chunk to chunk: each chunk is matched to the one before where they
    overlap.

    Args:
        model: as in ``separate``.
        read: (start, samples) -> (channel, samples) of the mixture.
        samples: length of the track.
        config, batch, progress: as in ``separate``.

    Yields:
        (stem, channel, sample) blocks on the CPU, in order; concatenated, as long as the track.
    """
    if batch < 1:
        raise ValueError(f"batch is {batch}: give at least one chunk per call")
    plan = plan_chunks(samples, config, model.sample_rate)
    count = len(plan.starts)
    if count == 1 and plan.size == samples:  # a single chunk needs no second copy for the sum
        yield _run(model, read(0, samples)[None])[0]
        if progress is not None:
            progress("", 1, 1)
        return
    indices = range(count)
    sums = _Sums()
    order = _StemOrder(plan) if interchangeable(model) else None
    for group in (indices[first : first + batch] for first in indices[::batch]):
        chunks = torch.stack([plan.fetch(index, read) for index in group])
        estimates = list(_run(model, chunks).unbind())
        del chunks
        for index in group:
            estimate = estimates.pop(0)
            if order is not None:
                estimate = order.align(index, estimate)
            first, end = plan.kept(index)
            offset = plan.starts[index]
            assert first == sums.start
            sums.add(estimate[..., first - offset : end - offset], plan.weights(index))
            del estimate  # before what was added up is used
            following = plan.kept(index + 1)[0] if index + 1 < count else samples
            if following > sums.start:
                yield sums.take(following)
            if progress is not None:
                progress("", index + 1, count)


class _StemOrder:
    """Keeps interchangeable stems in the order of the previous chunk."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.previous = torch.zeros(0)
        if any(self._shared(index) < 1 for index in range(1, len(plan.starts))):
            raise ValueError(
                "the model's stems are interchangeable (permutation-invariant outputs) and chunks "
                "without overlap can't be matched: give --overlap or --context_seconds above 0"
            )

    def align(self, index: int, estimate: Tensor) -> Tensor:
        """(stem, channel, sample) estimate of a whole chunk -> the same with stems reordered."""
        if index:
            shared = self._shared(index)
            current, previous = estimate[None, ..., :shared], self.previous[None, ..., -shared:]
            estimate = estimate[best_order(current, previous)[0]]
        self.previous = estimate
        return estimate

    def _shared(self, index: int) -> int:
        """Samples shared by the inputs of a chunk and the one before it."""
        return self.plan.starts[index - 1] + self.plan.size - self.plan.starts[index]


class _Sums:
    """Running sums of weighted estimates and of weights, from sample ``start`` of the song."""

    def __init__(self) -> None:
        self.start = 0
        self.total = torch.zeros(0)
        self.weights = torch.zeros(0)

    def add(self, estimate: Tensor, weights: Tensor) -> None:
        """Add a (stem, channel, sample) estimate from ``start`` to no earlier than the sums end."""
        shared = len(self.weights)
        total, weights = estimate * weights, weights.clone()
        if shared:
            total[..., :shared] += self.total
            weights[:shared] += self.weights
        self.total, self.weights = total, weights

    def take(self, end: int) -> Tensor:
        """(stem, channel, sample) weighted means up to sample ``end``, the new ``start``."""
        count = end - self.start
        block = self.total[..., :count].div_(self.weights[:count])
        self.total, self.weights = self.total[..., count:].clone(), self.weights[count:].clone()
        self.start = end
        return block


def _run(model: Separator, chunks: Tensor) -> Tensor:
    """(batch, channel, sample) -> (batch, stem, channel, sample) on the CPU."""
    with torch.inference_mode():
        estimates = model(chunks.to(get_device(model))).float().cpu()
    # The same memory, as a tensor that may be changed in place and used in a gradient.
    return torch.from_numpy(estimates.numpy())
