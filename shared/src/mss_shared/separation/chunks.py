"""Where the chunks of a song lie, what a model is given of them, and what is kept."""

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

_SILENT = ("zeros", "fit")  # before and behind the song

# Ramps start at zero; a sample that nothing else covers needs a weight all the same.
_LEAST_WEIGHT = 1e-9


@dataclass(frozen=True)
class Plan:
    """The chunks of one song.

    Attributes:
        samples: length of the song.
        size: length of every chunk.
        starts: first sample of each chunk, ascending; below zero where the song was extended.
        context: samples on either side of a chunk that are thrown away.
        mirrored: by how many samples the song was extended by its mirror image on both sides.
        config: the settings.
    """

    samples: int
    size: int
    starts: tuple[int, ...]
    context: int
    mirrored: int
    config: InferenceConfig

    def kept(self, number: int) -> tuple[int, int]:
        """First sample and end, in the song, of what is kept of a chunk."""
        start = self.starts[number]
        first, end = start + self.context, start + self.size - self.context
        if number == 0 and start == 0:
            first = 0
        if number == len(self.starts) - 1 and start + self.size == self.samples:
            end = self.samples
        return max(0, first), min(self.samples, end)

    def weights(self, number: int) -> Tensor:
        """(sample,) positive weights of what is kept of a chunk."""
        first, end = self.kept(number)
        inner = _window(self.config.window, self.size - 2 * self.context)
        # Outer context that is kept lies in no other chunk's kept part.
        padded = torch.nn.functional.pad(inner, (self.context, self.context), value=1.0)
        start = self.starts[number]
        return padded[first - start : end - start]

    def fetch(self, number: int, read: Reader) -> Tensor:
        """(channel, sample) what the model is given as a chunk."""
        start = self.starts[number]
        if start >= 0 and start + self.size <= self.samples:
            return read(start, self.size)
        places, inside = self._places(start)
        low, high = int(places[inside].min()), int(places[inside].max()) + 1
        audio = read(low, high - low)
        return audio[:, (places - low).clamp(0, high - low - 1)] * inside

    def _places(self, start: int) -> tuple[Tensor, Tensor]:
        """(sample,) which sample of the song stands at each of a chunk, and whether one does."""
        places = torch.arange(start, start + self.size)
        if self.config.edges in _SILENT:
            return places, (places >= 0) & (places < self.samples)
        end = self.samples + self.mirrored
        inside = places < end
        if end - start > self.size // 2:
            places = torch.where(inside, places, 2 * (end - 1) - places)
            inside = torch.ones_like(inside)
        places = torch.where(places < 0, -places, places)
        places = torch.where(
            inside & (places >= self.samples), 2 * (self.samples - 1) - places, places
        )
        return places, inside


def plan_chunks(samples: int, config: InferenceConfig, sample_rate: int) -> Plan:
    """Lay chunks over a song.

    Kept parts follow each other by their length less the overlap. With ``edges: none`` the last
    chunk ends with the song and chunks are no longer than it; with ``edges: fit`` chunks are no
    longer than as many of them need to be; else all chunks have full length.

    Raises:
        ValueError: for a setting out of its range.
    """
    size, context = _lengths(config, sample_rate)
    if not config.chunk_seconds or (config.edges == "none" and size >= samples):
        return Plan(samples, samples, (0,), min(context, (samples - 1) // 2), 0, config)
    kept = size - 2 * context
    hop = max(1, round(kept * (1.0 - config.overlap)))
    if config.edges == "none":
        starts = [*range(0, samples - size, hop), samples - size]
        return Plan(samples, size, tuple(starts), context, 0, config)
    if config.edges in _SILENT:
        if config.edges == "fit":
            kept = _fitted(samples, kept, context, config.overlap)
            size, hop = kept + 2 * context, math.ceil(kept * (1.0 - config.overlap))
        count = math.ceil(max(0, samples - kept) / hop) + 1
        starts = [number * hop - context for number in range(count)]
        return Plan(samples, size, tuple(starts), context, 0, config)
    border = size - hop
    mirrored = border if samples > 2 * border else 0
    # What is kept before or behind the song would be cut off again.
    starts = [
        start
        for start in range(-mirrored, max(1, samples - context), hop)
        if start + size - context > 0
    ]
    return Plan(samples, size, tuple(starts), context, mirrored, config)


def _fitted(samples: int, kept: int, context: int, overlap: float) -> int:
    """The least length to keep of each chunk with which no more of them cover the song.

    It is a whole number of contexts, as chunks of full length should be too: then what is kept
    begins on the same grid, on which a model may have windows of its own.
    """
    step = 1.0 - overlap
    count = math.ceil(max(0, samples - kept) / max(1, round(kept * step))) + 1
    least = math.ceil(samples / (1.0 + (count - 1) * step))
    unit = max(1, context)
    return min(kept, -(-least // unit) * unit)


def reach(samples: int, config: InferenceConfig, sample_rate: int, batch: int) -> int:
    """How many samples behind the newest a reader must still know: a batch of chunks, and those
    that mirror the end of the song or wait for the second pass.
    """
    size = _lengths(config, sample_rate)[0]
    return min(samples, (batch + 4) * size) if size else samples


def _lengths(config: InferenceConfig, sample_rate: int) -> tuple[int, int]:
    """Samples of a chunk and of the context on one side of it, checked."""
    if not 0.0 <= config.overlap < 1.0:
        raise ValueError(f"overlap is {config.overlap}: give at least 0 and less than 1")
    if not 0.0 <= config.chunk_seconds < math.inf:
        raise ValueError(
            f"chunk_seconds is {config.chunk_seconds}: give a length, or 0.0 for the whole song"
        )
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
    if not 0.0 <= config.context_seconds < math.inf:
        raise ValueError(f"context_seconds is {config.context_seconds}: give 0.0 or more")
    context = round(config.context_seconds * sample_rate)
    if size and 2 * context >= size:
        raise ValueError(
            f"context_seconds is {config.context_seconds} on both sides of chunks of "
            f"{config.chunk_seconds} s, nothing is kept: give less context or a greater "
            f"chunk_seconds"
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
