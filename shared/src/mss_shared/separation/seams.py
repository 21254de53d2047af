"""How far separation in chunks is from that of the whole song, depending on context."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mss_shared.audio.streams import open_song, resampled, resampled_length
from mss_shared.console import Report
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.channels import to_model
from mss_shared.separation.chunks import plan_chunks
from mss_shared.separation.overlap_add import separate
from mss_shared.separation.separator import Separator

WINDOW_SECONDS = 0.1

# Windows this far below the loudest are ignored: near silence, any error is relatively large.
_QUIET_DB = -60.0


@dataclass(frozen=True)
class Seam:
    """How chunks with one amount of context compare with the whole song.

    Attributes:
        context_seconds: on either side of a chunk.
        worst_db: lowest signal-to-error ratio over windows of 0.1 s, all stems and channels
            together; the signal is the estimates of the whole song. Infinite if all are equal.
        at_seconds: start of that window.
        median_db: median over all windows.
        cost: seconds processed by the model per second of song.
        border_db: median over the windows where chunks join. If it is close to ``median_db``, the
            joins are no worse than the rest, and the remaining error comes from the model seeing
            less of the song at a time. Infinite if the song is silent at all joins.
    """

    context_seconds: float
    worst_db: float
    at_seconds: float
    median_db: float
    cost: float
    border_db: float


def seams(
    model: Separator,
    path: Path,
    inference: InferenceConfig,
    contexts: Sequence[float],
    *,
    part_seconds: tuple[float, float | None] = (0.0, 60.0),
    batch: int = 1,
    progress: Report | None = None,
) -> list[Seam]:
    """Compare chunked separation of a part of a song, for each context, with that of the whole.

    Args:
        model: anything with the interface of ``Separator``; it must be able to process the part
            at once.
        path: a sound file.
        inference: the chunks; their context is replaced by each of ``contexts`` in turn.
        contexts: in seconds.
        part_seconds: start and duration of the part; a duration of None is the rest.
        batch: chunks per call of the model.
        progress: called with (context, contexts done, contexts in total).

    Returns:
        One per context, in order.

    Raises:
        FileNotFoundError, ValueError: if the part can't be read, is not longer than a chunk, or is
            silent, or a context is too long for the chunks.
    """
    mixture = _mixture(path, part_seconds, model)
    rate = model.sample_rate
    if not inference.chunk_seconds or mixture.shape[1] <= inference.chunk_seconds * rate:
        raise ValueError(
            f"a part of {mixture.shape[1] / rate:.1f} s and chunks of {inference.chunk_seconds} s "
            f"have no seams: give a longer part, or a smaller chunk_seconds"
        )
    whole = separate(model, mixture, replace(inference, chunk_seconds=0.0, context_seconds=0.0))
    results = []
    for done, context in enumerate(contexts):
        config = replace(inference, context_seconds=context)
        counted = _Counted(model)
        chunked = separate(counted, mixture, config, batch=batch)
        cost = counted.samples / mixture.shape[1]
        joins = _find_joins(mixture.shape[1], config, rate)
        results.append(_compare(whole, chunked, joins, rate, context, cost))
        if progress is not None:
            progress(f"{context} s", done + 1, len(contexts))
    return results


class _Counted:
    """A model that counts the samples it processes."""

    def __init__(self, model: Separator) -> None:
        self.model = model
        self.stems = model.stems
        self.sample_rate = model.sample_rate
        self.channels = model.channels
        self.samples = 0

    def __call__(self, mixture: Tensor) -> Tensor:
        self.samples += mixture.shape[0] * mixture.shape[-1]
        return self.model(mixture)


def _mixture(path: Path, part_seconds: tuple[float, float | None], model: Separator) -> Tensor:
    """(channel, sample) at the model's rate; channels beyond those of the model are dropped."""
    with open_song(path, part_seconds) as song:
        samples = resampled_length(song.samples, song.sample_rate, model.sample_rate)
        blocks = (block.astype(np.float32) for block in song.blocks())
        at_rate = resampled(blocks, song.sample_rate, model.sample_rate, samples)
        sound = np.concatenate([*at_rate], axis=-1)
    return to_model(torch.from_numpy(sound), model.channels)[0]


def _find_joins(samples: int, config: InferenceConfig, rate: int) -> Tensor:
    """(join,) samples inside the song at which the kept part of a chunk starts or ends."""
    plan = plan_chunks(samples, config, rate)
    ends = [sample for index in range(len(plan.starts)) for sample in plan.kept(index)]
    return torch.tensor(sorted({sample for sample in ends if 0 < sample < samples}))


def _compare(
    whole: Tensor, chunked: Tensor, joins: Tensor, rate: int, context: float, cost: float
) -> Seam:
    size = round(WINDOW_SECONDS * rate)
    energy, error = (_by_window(signal, size) for signal in (whole, whole - chunked))
    loud = energy > energy.max() * 10 ** (_QUIET_DB / 10)
    if not loud.any():
        raise ValueError("the model's estimates of the part are silent: choose another part")
    ratio = 10 * torch.log10(energy / error)
    loud_windows = torch.nonzero(loud)[:, 0]
    worst = int(loud_windows[ratio[loud].argmin()])
    at_join = torch.zeros_like(loud)
    # A join between two windows counts for both.
    for samples in (joins - 1, joins):
        at_join[(samples // size).clamp_max(len(loud) - 1)] = True
    join_ratios = ratio[loud & at_join]
    return Seam(
        context_seconds=context,
        worst_db=float(ratio[worst]),
        at_seconds=worst * size / rate,
        median_db=float(ratio[loud].median()),
        cost=cost,
        border_db=float(join_ratios.median()) if len(join_ratios) else math.inf,
    )


def _by_window(signal: Tensor, size: int) -> Tensor:
    """(stem, channel, sample) -> (window,) energy, float64; an incomplete window is dropped."""
    count = max(1, signal.shape[-1] // size)
    squares = signal[..., : count * size].double().square().sum(dim=(0, 1))
    return squares.reshape(count, -1).sum(dim=1)
