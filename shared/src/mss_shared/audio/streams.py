"""Songs as streams: blocks from disk or memory, their rate changed on the way, read piecewise."""

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

if TYPE_CHECKING:
    from torch import Tensor

Block = NDArray[np.float64]

BLOCK_SAMPLES = 2**16

# Of an array: more channels are samples, and so are more than the usual if samples are fewer.
_MOST_CHANNELS, _USUAL_CHANNELS = 64, 8


@dataclass(frozen=True)
class Song:
    """A song that can be read from its beginning again and again.

    Attributes:
        name: what errors call it.
        samples: its length.
        sample_rate: in Hz.
        channels: how many.
        subtype: libsndfile's name of its sample format; ``FLOAT`` for one in memory.
        container: libsndfile's name of its file format; ``''`` for one in memory.
        blocks: () -> iterator of (channel, sample) float64, in order, together the song.
        channel_mask: which loudspeaker each is for, as in ``channel_layout``.
        notes: what a user should know of how it was read.
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


@contextmanager
def open_song(path: Path, part_seconds: tuple[float, float | None] = (0.0, None)) -> Iterator[Song]:
    """A song on disk, or a part of it.

    Args:
        path: any file that ``reader.open_sound`` opens.
        part_seconds: where to start and how much to take, None for all that follows.

    Raises:
        FileNotFoundError, ImportError, OSError: as ``reader.open_sound``.
        ValueError: if the file can't be read, has no samples, or ends before the part starts.
    """
    with open_sound(path) as sound:
        about = sound.info
        if not about.samples:
            raise ValueError(f"{path} has no samples: give a file with sound")
        start, samples = _part(path, about, part_seconds)
        yield Song(
            str(path),
            samples,
            about.sample_rate,
            about.channels,
            about.subtype,
            about.container,
            lambda: sound.blocks(start, samples, BLOCK_SAMPLES),
            about.channel_mask,
            about.notes,
        )


def song_from_array(mixture: NDArray[np.floating] | Tensor, sample_rate: int) -> Song:
    """A song in memory, (channel, sample), in floats of full scale 1.0.

    Raises:
        ValueError: if it has another shape, no samples, integers, or what is no sound.
    """
    if hasattr(mixture, "detach"):  # a tensor; torch is not imported for an array
        mixture = mixture.detach().cpu()
        mixture = mixture.float() if mixture.element_size() < 4 else mixture
    values = np.asarray(mixture)
    if values.ndim != 2 or not values.size:
        raise ValueError(
            f"the mixture is {values.shape}: pass (channel, sample) audio with at least one sample"
        )
    channels, samples = values.shape
    if channels > max(min(samples, _MOST_CHANNELS), _USUAL_CHANNELS):
        raise ValueError(
            f"the mixture has {channels} channels of {samples} samples: pass (channel, sample) "
            f"audio, the transpose of what soundfile reads"
        )
    if not np.issubdtype(values.dtype, np.floating):
        raise ValueError(
            f"the mixture is of {values.dtype}: pass floats of full scale 1.0, integers of 16 bits "
            f"divided by 32768"
        )
    check_sound(values, "the mixture")

    def blocks() -> Iterator[Block]:
        for first in range(0, values.shape[1], BLOCK_SAMPLES):
            yield values[:, first : first + BLOCK_SAMPLES].astype(np.float64)

    subtype = "DOUBLE" if values.dtype == np.float64 else "FLOAT"
    return Song("the mixture", samples, sample_rate, channels, subtype, "", blocks, 0)


def resampled_length(samples: int, from_hz: int, to_hz: int) -> int:
    """Length after a change of rate: rounded up, so that the way back has every sample."""
    return -(-samples * to_hz // from_hz)


def resampled(
    blocks: Iterator[NDArray[np.floating]], from_hz: int, to_hz: int, samples: int
) -> Iterator[NDArray[np.floating]]:
    """Change the rate of a stream with soxr's very-high-quality filter.

    Args:
        blocks: (..., sample) blocks of one shape but for their length.
        from_hz: their rate.
        to_hz: the wanted one.
        samples: how many to give in all; soxr's count is cut or zero-padded to it.

    Yields:
        (..., sample) blocks of the same kind; unchanged if the rates are equal.
    """
    if from_hz == to_hz:
        yield from blocks
        return
    given = 0
    for block in _through_soxr(blocks, from_hz, to_hz):
        block = block[..., : samples - given]
        given += block.shape[-1]
        if block.shape[-1]:
            yield block
    if given < samples:
        yield np.zeros((*block.shape[:-1], samples - given), block.dtype)


def _through_soxr(
    blocks: Iterator[NDArray[np.floating]], from_hz: int, to_hz: int
) -> Iterator[NDArray[np.floating]]:
    import soxr

    stream = None
    for block in blocks:
        shape = block.shape[:-1]
        flat = np.ascontiguousarray(block.reshape(-1, block.shape[-1]).T)
        if stream is None:
            kind = "float64" if block.dtype == np.float64 else "float32"
            stream = soxr.ResampleStream(from_hz, to_hz, flat.shape[1], kind, "VHQ")
            empty = flat[:0]
        # soxr takes pieces of any length, but holds its answer to one in memory.
        for first in range(0, len(flat), BLOCK_SAMPLES):
            part = stream.resample_chunk(flat[first : first + BLOCK_SAMPLES])
            yield part.T.reshape(*shape, -1)
    if stream is not None:
        yield stream.resample_chunk(empty, last=True).T.reshape(*shape, -1)


class Sliding:
    """Pieces of a stream, read by position; each may begin before the end of the one before.

    What lies more than ``keep`` samples before the end of what was read so far is forgotten.
    """

    def __init__(self, blocks: Iterator[NDArray[np.floating]], keep: int) -> None:
        self.blocks = blocks
        self.keep = keep
        self.start = 0
        self.parts: list[NDArray[np.floating]] = []
        self.end = 0

    def read(self, start: int, samples: int) -> NDArray[np.floating]:
        """(..., sample) the ``samples`` samples from ``start`` on."""
        while self.end < start + samples:
            block = next(self.blocks)
            self.parts.append(block)
            self.end += block.shape[-1]
        while self.start + self.parts[0].shape[-1] <= min(start, self.end - self.keep):
            self.start += self.parts.pop(0).shape[-1]
        assert start >= self.start, "a piece was read whose beginning is forgotten"
        wanted, first = [], self.start
        for part in self.parts:
            low, high = max(0, start - first), min(part.shape[-1], start + samples - first)
            if low < high:
                wanted.append(part[..., low:high])
            first += part.shape[-1]
        return wanted[0] if len(wanted) == 1 else np.concatenate(wanted, axis=-1)

    def tensor(self, start: int, samples: int) -> Tensor:
        """The same as a float32 tensor."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(self.read(start, samples), np.float32))


def _part(
    path: Path, about: AudioInfo, part_seconds: tuple[float, float | None]
) -> tuple[int, int]:
    """First sample and length of a part."""
    start_seconds, seconds = part_seconds
    if start_seconds < 0 or (seconds is not None and seconds <= 0):
        raise ValueError(
            f"a part of {seconds} s from {start_seconds} s: give --start of 0 or more and "
            f"--duration above 0"
        )
    start = round(start_seconds * about.sample_rate)
    if start and start >= about.samples:
        raise ValueError(
            f"{path} lasts {about.seconds:.1f} s and the part starts at {start_seconds} s: give an "
            f"earlier --start"
        )
    left = about.samples - start
    wanted = left if seconds is None else max(1, round(seconds * about.sample_rate))
    return start, min(left, wanted)
