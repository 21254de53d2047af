"""Overlap-add of any model over a track of any length, block by block."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from mss_shared.recipe import InferenceConfig

Reader = Callable[[int, int], Tensor]
Report = Callable[[str, int, int], None]


class Separator(Protocol):
    """The border every model keeps."""

    stems: tuple[str, ...]
    sample_rate: int
    channels: int

    def __call__(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) float32 -> (batch, stem, channel, sample), any length."""


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
    """Separate a track that is read piece by piece; at most ``batch + 1`` pieces are in memory.

    Pieces overlap and are weighted by a triangle, divided by the sum of the weights at each
    sample, so that a model that returns its input is passed through up to rounding, at the first
    and last sample too. The last piece ends with the track: nothing is padded.

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
    starts, size = plan_pieces(samples, config, model.sample_rate)
    if len(starts) == 1:  # nothing to add up: a song at once is in memory once
        yield _run(model, read(0, size)[None])[0]
        if progress is not None:
            progress("", 1, 1)
        return
    weight = _triangle(size)
    done = 0
    total, weights = torch.zeros(0), torch.zeros(size)
    places = [*pairwise([*starts, samples])]
    for first in range(0, len(places), batch):
        group = places[first : first + batch]
        pieces = torch.stack([read(start, size) for start, _ in group])
        estimates = _run(model, pieces)
        for (start, following), estimate in zip(group, estimates, strict=True):
            if not total.numel():
                total = torch.zeros_like(estimate)
            total += estimate * weight
            weights += weight
            step = following - start
            yield total[..., :step] / weights[:step]
            total = _advance(total, step)
            weights = _advance(weights, step)
            done += 1
            if progress is not None:
                progress("", done, len(starts))


def plan_pieces(samples: int, config: InferenceConfig, sample_rate: int) -> tuple[list[int], int]:
    """Starts of the pieces and their common length, in samples.

    Raises:
        ValueError: if the overlap is not in [0, 1) or a piece would be empty.
    """
    if not 0.0 <= config.overlap < 1.0:
        raise ValueError(f"overlap is {config.overlap}: give at least 0 and less than 1")
    if not 0.0 <= config.chunk_seconds < math.inf:
        raise ValueError(
            f"chunk_seconds is {config.chunk_seconds}: give a length, or 0.0 for the whole song"
        )
    size = round(config.chunk_seconds * sample_rate)
    if config.chunk_seconds and not size:
        raise ValueError(
            f"chunk_seconds is {config.chunk_seconds}, less than a sample at {sample_rate} Hz: "
            f"give more, or 0.0 for the whole song"
        )
    size = min(size or samples, samples)
    hop = max(1, round(size * (1.0 - config.overlap)))
    return [*range(0, samples - size, hop), samples - size], size


def _run(model: Separator, pieces: Tensor) -> Tensor:
    """(batch, channel, sample) -> (batch, stem, channel, sample) on the CPU."""
    device = pieces.device
    if isinstance(model, torch.nn.Module):
        parameter = next(model.parameters(), None)
        device = pieces.device if parameter is None else parameter.device
    with torch.inference_mode():
        return model(pieces.to(device)).float().cpu()


def _triangle(size: int) -> Tensor:
    """(sample,) weights that rise to the middle and fall again, positive everywhere."""
    ramp = torch.arange(1, size + 1, dtype=torch.float32)
    return torch.minimum(ramp, ramp.flip(0)) / size


def _advance(buffer: Tensor, step: int) -> Tensor:
    """Drop the first ``step`` samples and append as many zeros."""
    return torch.nn.functional.pad(buffer[..., step:], (0, step))
