"""How far chunked separation is from that of the whole song, by the context of the chunks."""

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

# Windows this far below the loudest are left out: near silence, any error is large beside it.
_QUIET_DB = -60.0


@dataclass(frozen=True)
class Seam:
    """How chunks with one context compare with the whole.

    Attributes:
        context_seconds: on either side of a chunk.
        worst_db: least signal-to-error ratio of a window of 0.1 s, all stems and channels
            together, the whole song's estimates being the signal; infinite if they are equal.
        at_seconds: where that window begins.
        median_db: of the windows.
        cost: seconds given to the model per second of song.
        border_db: median of the windows in which a chunk's kept part begins or ends. Near
            ``median_db``, the borders are no worse than the rest, and what remains is that the
            model hears less of the song at a time. Infinite if the song is silent at all borders.
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
    """Separate a part of a song at once, and in chunks with each context.

    Args:
        model: anything that keeps the border; it must be able to take the part at once.
        path: a sound file.
        inference: the chunks; their context is replaced by each of ``contexts`` in turn.
        contexts: in seconds.
        part_seconds: where to start and how much to take, None for all that follows.
        batch: chunks per call of the model.
        progress: called with (context, settings done, settings in all).

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
            f"have no seams: give a longer part or a smaller chunk_seconds"
        )
    whole = separate(model, mixture, replace(inference, chunk_seconds=0.0, context_seconds=0.0))
    found = []
    for done, context in enumerate(contexts):
        config = replace(inference, context_seconds=context)
        counted = _Counted(model)
        chunked = separate(counted, mixture, config, batch=batch)
        cost = counted.samples / mixture.shape[1]
        borders = _borders(mixture.shape[1], config, rate)
        found.append(_compare(whole, chunked, borders, rate, context, cost))
        if progress is not None:
            progress(f"{context} s", done + 1, len(contexts))
    return found


class _Counted:
    """A model that counts the samples it is given."""

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
    """(channel, sample) at the model's rate; of more channels than its own, the first ones."""
    with open_song(path, part_seconds) as song:
        samples = resampled_length(song.samples, song.sample_rate, model.sample_rate)
        blocks = (block.astype(np.float32) for block in song.blocks())
        at_rate = resampled(blocks, song.sample_rate, model.sample_rate, samples)
        sound = np.concatenate([*at_rate], axis=-1)
    return to_model(torch.from_numpy(sound), model.channels)[0]


def _borders(samples: int, config: InferenceConfig, rate: int) -> Tensor:
    """(border,) samples inside the song where what is kept of a chunk begins or ends."""
    plan = plan_chunks(samples, config, rate)
    kept = [place for number in range(len(plan.starts)) for place in plan.kept(number)]
    return torch.tensor(sorted({place for place in kept if 0 < place < samples}))


def _compare(
    whole: Tensor, chunked: Tensor, borders: Tensor, rate: int, context: float, cost: float
) -> Seam:
    size = round(WINDOW_SECONDS * rate)
    energy, error = (_by_window(signal, size) for signal in (whole, whole - chunked))
    loud = energy > energy.max() * 10 ** (_QUIET_DB / 10)
    if not loud.any():
        raise ValueError("the model's estimates of the part are silent: choose another part")
    ratio = 10 * torch.log10(energy / error)
    places = torch.nonzero(loud)[:, 0]
    worst = int(places[ratio[loud].argmin()])
    at_border = torch.zeros_like(loud)
    # A border between two windows is one of both.
    for place in (borders - 1, borders):
        at_border[(place // size).clamp_max(len(loud) - 1)] = True
    chosen = ratio[loud & at_border]
    return Seam(
        context_seconds=context,
        worst_db=float(ratio[worst]),
        at_seconds=worst * size / rate,
        median_db=float(ratio[loud].median()),
        cost=cost,
        border_db=float(chosen.median()) if len(chosen) else math.inf,
    )


def _by_window(signal: Tensor, size: int) -> Tensor:
    """(stem, channel, sample) -> (window,) energy, float64; what is left at the end is left out."""
    count = max(1, signal.shape[-1] // size)
    squares = signal[..., : count * size].double().square().sum(dim=(0, 1))
    return squares.reshape(count, -1).sum(dim=1)
