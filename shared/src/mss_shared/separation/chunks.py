"""Chunks of a song: where they lie, the model's input, and what is kept of its output."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mss_shared.recipe_sections import InferenceConfig

Reader = Callable[[int, int], Tensor]

WINDOWS = ("triangle", "flat", "fade")
EDGES = ("none", "zeros", "reflect", "fit")

_MOST_SECONDS = 86_400.0

_ZERO_PADDED = ("zeros", "fit")  # edges with silence before and after the song

# Fades start at zero, but a sample that no other chunk covers needs a positive weight.
_LEAST_WEIGHT = 1e-9


@dataclass(frozen=True)
class Plan:
    """The chunks of one song.

    Attributes:
        samples: length of the song.
        size: length of every chunk.
        starts: first sample of each chunk, ascending; negative where the song was padded.
        context: samples on either side of a chunk that are discarded.
        mirrored: samples of reflection padding on both sides of the song.
        config: the settings.
    """

    samples: int
    size: int
    starts: tuple[int, ...]
    context: int
    mirrored: int
    config: InferenceConfig

    def kept(self, index: int) -> tuple[int, int]:
        """Start and end, in the song, of the part of a chunk that is kept."""
        start = self.starts[index]
        first, end = start + self.context, start + self.size - self.context
        if index == 0 and start == 0:
            first = 0
        if index == len(self.starts) - 1 and start + self.size == self.samples:
            end = self.samples
        return max(0, first), min(self.samples, end)

    def weights(self, index: int) -> Tensor:
        """(sample,) positive overlap-add weights of the kept part of a chunk."""
        first, end = self.kept(index)
        inner = _window(self.config.window, self.size - 2 * self.context)
        # Context is kept only at the ends of the song, where no other chunk's kept part overlaps.
        padded = torch.nn.functional.pad(inner, (self.context, self.context), value=1.0)
        start = self.starts[index]
        return padded[first - start : end - start]

    def fetch(self, index: int, read: Reader) -> Tensor:
        """(channel, sample) the model's input for a chunk, padded where it exceeds the song."""
        start = self.starts[index]
        if start >= 0 and start + self.size <= self.samples:
            return read(start, self.size)
        positions, inside = self._positions(start)
        low, high = int(positions[inside].min()), int(positions[inside].max()) + 1
        audio = read(low, high - low)
        return audio[:, (positions - low).clamp(0, high - low - 1)] * inside

    def _positions(self, start: int) -> tuple[Tensor, Tensor]:
        """(sample,) positions in the song of a chunk's samples, and a mask, False for silence."""
        positions = torch.arange(start, start + self.size)
        if self.config.edges in _ZERO_PADDED:
            return positions, (positions >= 0) & (positions < self.samples)
        end = self.samples + self.mirrored
        inside = positions < end
        if end - start > self.size // 2:
            positions = torch.where(inside, positions, 2 * (end - 1) - positions)
            inside = torch.ones_like(inside)
        positions = torch.where(positions < 0, -positions, positions)
        positions = torch.where(
            inside & (positions >= self.samples), 2 * (self.samples - 1) - positions, positions
        )
        return positions, inside


def plan_chunks(samples: int, config: InferenceConfig, sample_rate: int) -> Plan:
    """Place chunks over a song, at a hop of their kept length less the overlap.

    With ``edges: none`` the last chunk ends with the song, and no chunk is longer than the song.
    With ``edges: fit`` chunks are shortened as far as the same number of them covers the song.
    Otherwise all chunks have full length.

    Raises:
        ValueError: for a setting out of range.
    """
    size, context = chunk_lengths(config, sample_rate)
    if not config.chunk_seconds or (config.edges == "none" and size >= samples):
        return Plan(samples, samples, (0,), min(context, (samples - 1) // 2), 0, config)
    kept = size - 2 * context
    hop = max(1, round(kept * (1.0 - config.overlap)))
    if config.edges == "none":
        starts = [*range(0, samples - size, hop), samples - size]
        return Plan(samples, size, tuple(starts), context, 0, config)
    if config.edges in _ZERO_PADDED:
        if config.edges == "fit":
            kept = _fitted(samples, kept, context, config.overlap)
            size, hop = kept + 2 * context, math.ceil(kept * (1.0 - config.overlap))
        count = math.ceil(max(0, samples - kept) / hop) + 1
        starts = [index * hop - context for index in range(count)]
        return Plan(samples, size, tuple(starts), context, 0, config)
    overlap = size - hop
    mirrored = overlap if samples > 2 * overlap else 0
    # Skip chunks whose kept part lies entirely outside the song.
    starts = [
        start
        for start in range(-mirrored, max(1, samples - context), hop)
        if start + size - context > 0
    ]
    return Plan(samples, size, tuple(starts), context, mirrored, config)


def _fitted(samples: int, kept: int, context: int, overlap: float) -> int:
    """The shortest kept length at which the song still needs no more chunks.

    It is a multiple of the context, as it should be for chunks of full length too: kept parts then
    start on the same grid, to which a model's own windows may be aligned.
    """
    step = 1.0 - overlap
    count = math.ceil(max(0, samples - kept) / max(1, round(kept * step))) + 1
    least = math.ceil(samples / (1.0 + (count - 1) * step))
    unit = max(1, context)
    return min(kept, -(-least // unit) * unit)


def find_lookback(
    samples: int, config: InferenceConfig, sample_rate: int, batch: int, *, rerun: bool
) -> int:
    """How many past samples a reader must buffer.

    None where each chunk starts after the one before; else a batch of chunks, plus those reflected
    at the end of the song or awaiting the second pass of ``rerun``.
    """
    if not rerun and config.edges != "reflect":
        return 0
    size = chunk_lengths(config, sample_rate)[0]
    return min(samples, (batch + 4) * size) if size else samples


def chunk_lengths(config: InferenceConfig, sample_rate: int) -> tuple[int, int]:
    """Samples of a chunk, 0 for the whole song, and of the context on either side.

    Raises:
        ValueError: for a setting out of range.
    """
    if not 0.0 <= config.overlap < 1.0:
        raise ValueError(f"overlap is {config.overlap}: give at least 0 and less than 1")
    for name in ("chunk_seconds", "context_seconds"):
        seconds = getattr(config, name)
        if not 0.0 <= seconds <= _MOST_SECONDS:
            whole = ", or 0.0 for the whole song" if name == "chunk_seconds" else ""
            raise ValueError(f"{name} is {seconds}: give a length of at most a day{whole}")
    for name, value, choices in (
        ("window", config.window, WINDOWS),
        ("edges", config.edges, EDGES),
    ):
        if value not in choices:
            raise ValueError(f"{name} is {value!r}: choose from {', '.join(choices)}")
    size = round(config.chunk_seconds * sample_rate)
    if config.chunk_seconds and not size:
        raise ValueError(
            f"chunk_seconds is {config.chunk_seconds}, less than a sample at {sample_rate} Hz: "
            f"give more, or 0.0 for the whole song"
        )
    context = round(config.context_seconds * sample_rate)
    if size and 2 * context >= size:
        raise ValueError(
            f"context_seconds is {config.context_seconds} on both sides, which leaves nothing of "
            f"chunks of {config.chunk_seconds} s: give less context or a greater chunk_seconds"
        )
    return size, context


def _window(name: str, size: int) -> Tensor:
    """(sample,) weights, positive everywhere."""
    if name == "flat":
        return torch.ones(size)
    if name == "triangle":
        ramp = torch.arange(1, size + 1, dtype=torch.float32)
        return torch.minimum(ramp, ramp.flip(0)) / size
    window = torch.ones(size)
    fade = size // 10
    ramp = torch.linspace(0.0, 1.0, fade).clamp_min(_LEAST_WEIGHT)
    window[:fade] = ramp
    window[size - fade :] = ramp.flip(0)
    return window
