"""Songs as streams of blocks, from disk or memory, resampled on the fly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mss_shared.audio.reader import open_sound
from mss_shared.audio.sound import AudioInfo, check_sound
from mss_shared.cores import Threads, cpu_count
from mss_shared.metrics.axes import refuse_swapped

if TYPE_CHECKING:
    from torch import Tensor

Block = NDArray[np.float64]

BLOCK_SAMPLES = 2**16


@dataclass(frozen=True)
class Song:
    """A song that can be read from the beginning any number of times.

    Attributes:
        name: for error messages.
        samples: per channel.
        sample_rate: in Hz.
        channels: the channel count.
        subtype: libsndfile's name of its sample format; ``FLOAT`` for one in memory.
        container: libsndfile's name of its file format; ``''`` for one in memory.
        blocks: () -> iterator over the whole song, in (channel, sample) float64.
        channel_mask: as in ``channel_layout``; 0 if unknown.
        notes: anything unusual about how it was read, for the user.
        start: the sample of the file at which it starts.
    """

    name: str
    samples: int
    sample_rate: int
    channels: int
    subtype: str
    container: str
    blocks: Callable[[], Iterator[Block]]
    channel_mask: int
    notes: tuple[str, ...] = ()
    start: int = 0


@contextmanager
def open_song(path: Path, part_seconds: tuple[float, float | None] = (0.0, None)) -> Iterator[Song]:
    """Open a song on disk, or a part of it.

    Args:
        path: any file that ``reader.open_sound`` opens.
        part_seconds: start and duration; None for the rest of the file.

    Raises:
        FileNotFoundError, ImportError, OSError: as ``reader.open_sound``.
        ValueError: if the file can't be read, has no samples, or ends before the part starts.
    """
    with open_sound(path) as sound:
        info = sound.info
        if not info.samples:
            raise ValueError(f"{path} has no samples: give a file with sound")
        start, samples = _part(path, info, part_seconds)
        yield Song(
            str(path),
            samples,
            info.sample_rate,
            info.channels,
            info.subtype,
            info.container,
            lambda: sound.blocks(start, samples, BLOCK_SAMPLES),
            info.channel_mask,
            info.notes,
            start,
        )


def song_from_array(mixture: NDArray[np.floating] | Tensor, sample_rate: int) -> Song:
    """Wrap (channel, sample) floats in memory, full scale 1.0, as a song.

    Raises:
        ValueError: if the shape is wrong or empty, or the samples are not floats or invalid.
    """
    if hasattr(mixture, "detach"):  # a tensor; avoids importing torch
        mixture = mixture.detach().cpu()
        mixture = mixture.float() if mixture.element_size() < 4 else mixture
    values = np.asarray(mixture)
    if values.ndim != 2 or not values.size:
        raise ValueError(
            f"the mixture is {values.shape}: pass (channel, sample) audio with at least one sample"
        )
    channels, samples = values.shape
    transposed = "(channel, sample) audio, the transpose of what soundfile reads"
    refuse_swapped("the mixture has", {"channels": channels}, samples, transposed)
    if not np.issubdtype(values.dtype, np.floating):
        raise ValueError(
            f"the mixture has dtype {values.dtype}: pass floats at full scale 1.0, 16-bit integers "
            f"divided by 32768"
        )
    check_sound(values, "the mixture")

    def blocks() -> Iterator[Block]:
        for first in range(0, values.shape[1], BLOCK_SAMPLES):
            yield values[:, first : first + BLOCK_SAMPLES].astype(np.float64)

    subtype = "DOUBLE" if values.dtype == np.float64 else "FLOAT"
    return Song("the mixture", samples, sample_rate, channels, subtype, "", blocks, 0)


def resampled_length(samples: int, from_hz: int, to_hz: int) -> int:
    """Length after resampling, rounded up so that resampling back loses no sample."""
    return -(-samples * to_hz // from_hz)


def resampled(
    blocks: Iterator[NDArray[np.floating]], from_hz: int, to_hz: int, samples: int
) -> Iterator[NDArray[np.floating]]:
    """Resample a stream with soxr's very-high-quality filter.

    Args:
        blocks: (..., sample) blocks, which differ only in length.
        from_hz: their rate.
        to_hz: the target rate.
        samples: the length of the output; soxr's is cut or zero-padded to it.

    Yields:
        (..., sample) blocks; the input blocks if the rates are equal.
    """
    if from_hz == to_hz:
        yield from blocks
        return
    yielded = 0
    for block in _through_soxr(blocks, from_hz, to_hz):
        block = block[..., : samples - yielded]
        yielded += block.shape[-1]
        if block.shape[-1]:
            yield block
    if yielded < samples:
        yield np.zeros((*block.shape[:-1], samples - yielded), block.dtype)


def _through_soxr(
    blocks: Iterator[NDArray[np.floating]], from_hz: int, to_hz: int
) -> Iterator[NDArray[np.floating]]:
    """Each stem in a thread, or all channels in one if there are no stems."""
    import soxr

    streams: list[soxr.ResampleStream] = []

    def resample(parts: list[NDArray[np.floating]], last: bool = False) -> NDArray[np.floating]:
        """(sample, channel) of each stem -> (..., sample)."""
        if len(parts) == 1:
            [part], [stream] = parts, streams
            return np.asarray(stream.resample_chunk(part, last)).T.reshape(*shape, -1)
        with Threads(cpu_count()) as pool:  # of this block: the caller may never ask for another
            done = pool.map(lambda stream, part: stream.resample_chunk(part, last), streams, parts)
            return np.stack([part.T for part in done]).reshape(*shape, -1)

    for block in blocks:
        shape = block.shape[:-1]
        stems = block if block.ndim > 2 else block[None]
        flat = [np.ascontiguousarray(stem.T) for stem in stems]
        if not streams:
            kind = "float64" if block.dtype == np.float64 else "float32"
            wanted = from_hz, to_hz, shape[-1], kind, "VHQ"
            streams = [soxr.ResampleStream(*wanted) for _ in flat]
            empty = [stem[:0].copy() for stem in flat]
        del stems
        # soxr accepts blocks of any length, but returns the whole output for one at once.
        for first in range(0, block.shape[-1], BLOCK_SAMPLES):
            yield resample([stem[first : first + BLOCK_SAMPLES] for stem in flat])
        del block, flat  # before the next is made
    if streams:
        yield resample(empty, last=True)


class Sliding:
    """A sliding window over a stream: overlapping pieces, read by position.

    Samples more than ``keep`` before the end of what was read so far are forgotten.
    """

    def __init__(self, blocks: Iterator[NDArray[np.floating]], keep: int) -> None:
        self.blocks = blocks
        self.keep = keep
        self.start = 0
        self.parts: list[NDArray[np.floating]] = []
        self.end = 0

    def read(self, start: int, samples: int) -> NDArray[np.floating]:
        """Read ``samples`` samples from ``start`` on, as (..., sample)."""
        while self.end < start + samples:
            block = next(self.blocks)
            self.parts.append(block)
            self.end += block.shape[-1]
        while self.start + self.parts[0].shape[-1] <= min(start, self.end - self.keep):
            self.start += self.parts.pop(0).shape[-1]
        assert start >= self.start, "the beginning of this piece is already forgotten"
        wanted, first = [], self.start
        for part in self.parts:
            low, high = max(0, start - first), min(part.shape[-1], start + samples - first)
            if low < high:
                wanted.append(part[..., low:high])
            first += part.shape[-1]
        return wanted[0] if len(wanted) == 1 else np.concatenate(wanted, axis=-1)

    def tensor(self, start: int, samples: int) -> Tensor:
        """As ``read``, but as a float32 tensor."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(self.read(start, samples), np.float32))


def _part(path: Path, info: AudioInfo, part_seconds: tuple[float, float | None]) -> tuple[int, int]:
    """The first sample of a part, and its length in samples."""
    start_seconds, seconds = part_seconds
    if start_seconds < 0 or (seconds is not None and seconds <= 0):
        raise ValueError(
            f"a part of {seconds} s from {start_seconds} s: give --start of 0 or more and "
            f"--duration above 0"
        )
    start = round(start_seconds * info.sample_rate)
    if start and start >= info.samples:
        raise ValueError(
            f"{path} lasts {info.seconds:.1f} s and the part starts at {start_seconds} s: give an "
            f"earlier --start"
        )
    left = info.samples - start
    wanted = left if seconds is None else max(1, round(seconds * info.sample_rate))
    return start, min(left, wanted)
