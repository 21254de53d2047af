"""Reading any part of a sound, whatever decodes it; and by libsndfile."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from mss_shared.audio.channel_layout import Order
from mss_shared.audio.sound import Audio, AudioInfo, Exact, check_finite, check_sound

# How many frames a decoder of mp3 needs before it gives the same as from the beginning, up to the
# last bit of a float: their bits may lie in frames before them. Other decoders need all.
_LOW_RATE = 32_000  # Hz, below which frames are shorter and may be as small as 24 bytes
_BEFORE, _BEFORE_AT_LOW_RATES = 16 * 1152, 32 * 576
_NEVER_FORGETS = ("OPUS", "VOX_ADPCM", "G721_32", "G723_24", "G723_40", "GSM610", "NMS_ADPCM_16")
_SKIP = 2**16
_PIECE = 2**22  # samples of each channel that are read at once
# libsndfile seeks wrongly inside the last page of a Vorbis file: of 255 packets at most.
_LAST_PAGE = 255 * 4096


class SequentialFile(soundfile.SoundFile):  # type: ignore[misc]  # it has no types
    """A sound file that is not moved behind one's back.

    soundfile seeks to where it is after each read, if it can: decoders of mp3 and Opus then start
    anew, and what follows differs from what reading in one go gives by up to half of full scale.
    """

    def seekable(self) -> bool:
        """No; ``seek`` works nevertheless."""
        return False


class Reader(ABC):
    """A sound of known length, any part of which can be read.

    Attributes:
        path: what errors call it.
        info: what it holds.
    """

    def __init__(self, path: Path, info: AudioInfo) -> None:
        self.path = path
        self.info = info

    @abstractmethod
    def pieces(
        self, start: int, samples: int, size: int, kind: str, *, again: bool
    ) -> Iterator[NDArray[np.floating]]:
        """(channel, sample) pieces of at most ``size`` samples; ``again``: by a handle of its own.

        Raises:
            ValueError: if it can't be decoded or ends early.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    def read(self, start: int = 0, samples: int | None = None) -> Audio:
        """Read ``samples`` samples of every channel from sample ``start`` on, by seeking.

        Returns:
            (channel, sample) float32, the same values that reading from the beginning gives; all
            that follows ``start`` if ``samples`` is None.

        Raises:
            ValueError: if it can't be decoded, is shorter than asked for, or holds NaN or infinity.
        """
        length = self.info.samples
        count = length - start if samples is None else samples
        if start < 0 or count < 0 or start + count > length:
            raise ValueError(
                f"{self.path} has {length} samples, {start} to {start + count} were asked for: "
                f"choose an excerpt inside the file"
            )
        # A header may claim more than memory holds: a piece is read when those before it are.
        pieces = [*self.pieces(start, count, max(1, min(count, _PIECE)), "float32", again=False)]
        audio: Audio = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)
        check_finite(audio, str(self.path), start)
        return np.ascontiguousarray(audio)

    def blocks(self, start: int, samples: int, size: int) -> Iterator[Exact]:
        """Read a part front to back; several of these may run side by side.

        Yields:
            (channel, sample) float64 of at most ``size`` samples, in which the integers of every
            PCM format are exact.

        Raises:
            ValueError: if it can't be decoded, ends early, or holds what is no sound.
        """
        for block in self.pieces(start, samples, size, "float64", again=True):
            check_sound(block, str(self.path), start)
            start += block.shape[1]
            yield block.astype(np.float64, copy=False)


class SndfileReader(Reader):
    """A sound that libsndfile decodes."""

    def __init__(
        self,
        path: Path,
        open_file: Callable[[], Any],
        *,
        order: Order = None,
        mask: int = 0,
        notes: tuple[str, ...] = (),
        container: str | None = None,
        subtype: str | None = None,
    ) -> None:
        """Open it.

        Args:
            path: what errors call it.
            open_file: gives a SequentialFile of it, each time anew.
            order: which channel of the file each one is; None if they stay.
            mask, notes, container, subtype: for ``info``; None for what libsndfile says.

        Raises:
            soundfile.LibsndfileError, TypeError: if libsndfile does not read it.
        """
        self.open_file = open_file
        self.order = order
        self.file = file = open_file()
        mask = mask if file.channels > 2 else 0
        container = file.format if container is None else container
        subtype = file.subtype if subtype is None else subtype
        about = AudioInfo(
            file.frames, file.samplerate, file.channels, subtype, container, mask, notes
        )
        super().__init__(path, about)

    def set_layout(self, order: Order, mask: int) -> None:
        """Say which channel of the file each one is, and which loudspeakers they are for."""
        self.order, self.info = order, replace(self.info, channel_mask=mask)

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def pieces(
        self, start: int, samples: int, size: int, kind: str, *, again: bool
    ) -> Iterator[NDArray[np.floating]]:
        """As of ``Reader``; at least one piece, which may be empty."""
        if not again and self.file.subtype in _NEVER_FORGETS and start < self.file.tell():
            self.file.close()
            self.file = self.open_file()
        file = self.open_file() if again else self.file
        try:
            _go_to(file, start)
            for first in range(start, max(start + samples, start + 1), size):
                count = min(size, start + samples - first)
                values = file.read(count, dtype=kind, always_2d=True).T
                if values.shape[1] != count:
                    raise ValueError(
                        f"{self.path} ends after {first + values.shape[1]} of the "
                        f"{self.info.samples} samples its header promises: the file is cut short, "
                        f"replace it"
                    )
                yield values if self.order is None else values[list(self.order)]
        except soundfile.LibsndfileError as error:
            raise ValueError(
                f"{self.path} can't be decoded ({error.error_string}): replace the file"
            ) from None
        finally:
            if again:
                file.close()


class ChainReader(Reader):
    """Sounds of one rate and channel count that follow each other in one file.

    One part at a time is open: a system allows about a thousand open files.
    """

    def __init__(
        self, path: Path, count: int, open_part: Callable[[int, ExitStack], Reader]
    ) -> None:
        """Look at each of ``count`` parts, which ``open_part`` opens by its number.

        Raises:
            ValueError: if they differ.
        """
        self.open_part = open_part
        first: Any = None
        self.lengths: list[int] = []
        for number in range(count):
            with ExitStack() as stack:
                part = open_part(number, stack).info
            first = first if number else part
            if _shape(part) != _shape(first):
                raise ValueError(
                    f"{path} changes from {_said(first)} to {_said(part)} in part {number + 1} of "
                    f"{count}: split it, or convert it to wav"
                )
            self.lengths.append(part.samples)
        total = sum(self.lengths)
        notes = (f"{count} parts one after the other, read as one", *first.notes)
        of = (first.subtype, first.container, first.channel_mask, notes)
        super().__init__(path, AudioInfo(total, first.sample_rate, first.channels, *of))

    def close(self) -> None:
        """Nothing is open between two pieces."""

    def pieces(
        self, start: int, samples: int, size: int, kind: str, *, again: bool
    ) -> Iterator[NDArray[np.floating]]:
        """As of ``Reader``; a piece ends where a part does."""
        first = 0
        for number, length in enumerate(self.lengths):
            low = max(start, first)
            high = min(start + samples, first + length)
            if low < high or (not samples and low == start <= first + length):
                with ExitStack() as stack:
                    part = self.open_part(number, stack)
                    yield from part.pieces(low - first, high - low, size, kind, again=again)
                if not samples:
                    return
            first += length


def _shape(info: AudioInfo) -> tuple[int, int, int, str]:
    return info.sample_rate, info.channels, info.channel_mask, info.subtype


def _said(info: AudioInfo) -> str:
    return f"{info.sample_rate} Hz in {info.channels} channels ({info.subtype or info.container})"


def _go_to(file: Any, start: int) -> None:
    """Move to a sample, in a way that gives what reading up to it gives."""
    at = file.tell()
    if start == at:
        return
    if file.subtype.startswith("MPEG"):
        before = _BEFORE if file.samplerate >= _LOW_RATE else _BEFORE_AT_LOW_RATES
        file.seek(max(0, start - before))
    elif file.subtype == "VORBIS":
        file.seek(max(0, min(start, file.frames - _LAST_PAGE)))
    elif file.subtype not in _NEVER_FORGETS:
        file.seek(start)
        return
    while file.tell() < start:
        if not len(file.read(min(_SKIP, start - file.tell()), dtype="float32", always_2d=True)):
            return
