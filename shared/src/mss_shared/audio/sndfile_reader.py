"""The interface of all readers, the reader on libsndfile, and one for chained files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import soundfile
from numpy.typing import NDArray

from mss_shared.audio.channel_layout import Order
from mss_shared.audio.header import RawSound
from mss_shared.audio.sound import Audio, AudioInfo, Exact, check_finite, check_sound

# How many samples an mp3 decoder needs to run in until its output is bit-identical to a full
# decode: a frame may use the bit reservoir of frames before it. The codecs of ``_STATEFUL`` need
# everything from the beginning; libsndfile does not seek in most of them.
_LOW_RATE = 32_000  # Hz, below which frames are shorter and may be as small as 24 bytes
_RUN_IN, _RUN_IN_AT_LOW_RATES = 16 * 1152, 32 * 576
_STATEFUL = (
    *("OPUS", "GSM610", "VOX_ADPCM", "G721_32", "G723_24", "G723_40"),
    *("NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32", "DPCM_8", "DPCM_16"),
    *("DWVW_12", "DWVW_16", "DWVW_24", "DWVW_N"),
)
_SKIP = 2**16
_PIECE = 2**16  # samples per channel in one read; few enough to stay in the cache
_LIKELY_EXPANSION = 32  # bytes of samples from a byte of a file
# libsndfile seeks wrongly within the last page of a Vorbis file, of at most 255 packets.
_LAST_PAGE = 255 * 4096


class SequentialFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A sound file that soundfile does not seek after each read, nor to tell where it is.

    soundfile would seek to the current position. That restarts the mp3 and Opus decoders, so that
    the samples that follow are off by up to half of full scale, and fails for GSM and some ADPCM.
    """

    position = 0

    def seekable(self) -> bool:
        """False, although ``seek`` works."""
        return False

    def tell(self) -> int:
        """The index of the next sample."""
        return self.position

    def seek(self, sample: int) -> int:
        """Continue at another sample."""
        self.position = super().seek(sample)
        return self.position

    def read(self, count: int, **options: Any) -> NDArray[np.floating]:
        """The next ``count`` samples, as soundfile returns them."""
        values: NDArray[np.floating] = super().read(count, **options)
        self.position += len(values)
        return values


class Reader(ABC):
    """A sound of known length, any excerpt of which can be read.

    Attributes:
        path: the file, for error messages.
        info: its format and length.
    """

    def __init__(self, path: Path, info: AudioInfo) -> None:
        self.path = path
        self.info = info

    @property
    def _is_integers(self) -> bool:
        """Whether no sample can be NaN, infinite or too large."""
        return self.info.subtype.startswith("PCM_")

    @abstractmethod
    def pieces(
        self, start: int, samples: int, size: int, kind: str, *, again: bool
    ) -> Iterator[NDArray[np.floating]]:
        """Yield (channel, sample) pieces of at most ``size`` samples; ``again`` uses a new handle.

        Raises:
            ValueError: if it can't be decoded or ends early.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    def read(self, start: int = 0, samples: int | None = None) -> Audio:
        """Read ``samples`` samples of every channel from sample ``start`` on, by seeking.

        Returns:
            (channel, sample) float32, bit-identical to those of a full read; everything from
            ``start`` on if ``samples`` is None.

        Raises:
            ValueError: if it can't be decoded, ends before the excerpt, or has NaN or infinity.
        """
        length = self.info.samples
        count = length - start if samples is None else samples
        if start < 0 or count < 0 or start + count > length:
            raise ValueError(
                f"{self.path} has {length} samples, {start} to {start + count} were asked for: "
                f"choose an excerpt inside the file"
            )
        # A header may claim more than fits in memory: begin with what the file's size makes likely.
        likely = _LIKELY_EXPANSION * self.path.stat().st_size // (4 * self.info.channels)
        audio: Audio = np.empty((self.info.channels, min(count, likely)), np.float32)
        done = 0
        for piece in self.pieces(start, count, _PIECE, "float32", again=False):
            if not self._is_integers:
                check_finite(piece, str(self.path), start + done)
            if done + piece.shape[1] > audio.shape[1]:
                larger = np.empty((len(audio), min(count, 2 * (done + _PIECE))), np.float32)
                larger[:, :done] = audio[:, :done]
                audio = larger
            audio[:, done : done + piece.shape[1]] = piece
            done += piece.shape[1]
        return audio

    def blocks(self, start: int, samples: int, size: int) -> Iterator[Exact]:
        """Read an excerpt front to back; several iterators may be active at once.

        Yields:
            (channel, sample) float64 of at most ``size`` samples, in which the integers of every
            PCM format are exact.

        Raises:
            ValueError: if it can't be decoded, ends early, or has invalid samples.
        """
        for block in self.pieces(start, samples, size, "float64", again=True):
            if not self._is_integers:
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
        """Open the file.

        Args:
            path: the file, for error messages.
            open_file: opens a new SequentialFile on it.
            order: for each output channel, its index in the file; None to keep the order.
            mask, notes, container, subtype: for ``info``; None for libsndfile's own.

        Raises:
            soundfile.LibsndfileError, TypeError: if libsndfile can't open it.
        """
        self.open_file = open_file
        self.order = order
        self.file = file = open_file()
        mask = mask if file.channels > 2 else 0
        container = file.format if container is None else container
        subtype = file.subtype if subtype is None else subtype
        info = AudioInfo(
            file.frames, file.samplerate, file.channels, subtype, container, mask, notes
        )
        super().__init__(path, info)

    def set_layout(self, order: Order, mask: int) -> None:
        """Set the channel order and the channel mask."""
        self.order, self.info = order, replace(self.info, channel_mask=mask)

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def pieces(
        self, start: int, samples: int, size: int, kind: str, *, again: bool
    ) -> Iterator[NDArray[np.floating]]:
        """As in ``Reader``; yields at least one piece, which may be empty."""
        if not again and self.file.subtype in _STATEFUL and start < self.file.tell():
            self.file.close()
            self.file = self.open_file()
        file = self.open_file() if again else self.file
        try:
            _seek(file, start)
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


class PlainReader(SndfileReader):
    """Uncompressed samples, of which excerpts are read without libsndfile, in a fifth of the time.

    Args:
        path, open_file, mask, notes: as in `SndfileReader`.
        raw: where the samples are; of a subtype in ``KINDS``.
    """

    KINDS: ClassVar[Mapping[str, str]] = {"PCM_16": "i2", "FLOAT": "f4"}

    def __init__(
        self,
        path: Path,
        open_file: Callable[[], Any],
        *,
        raw: RawSound,
        mask: int,
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(path, open_file, mask=mask, notes=notes)
        self.raw = raw
        self.kind = np.dtype(("<" if raw.endian == "LITTLE" else ">") + self.KINDS[raw.subtype])
        width = self.kind.itemsize * self.info.channels
        # libsndfile's view of the file decides; where it differs, it reads.
        size = self.info.samples * width
        self.agrees = raw.end - raw.start == size and raw.subtype == self.info.subtype

    def read(self, start: int = 0, samples: int | None = None) -> Audio:
        """As in `Reader`, bit-identical to it."""
        length, channels = self.info.samples, self.info.channels
        count = length - start if samples is None else samples
        if not self.agrees or not 0 < count <= length - start or not 0 <= start:
            return super().read(start, samples)
        offset = self.raw.start + start * channels * self.kind.itemsize
        values = np.fromfile(self.path, self.kind, count * channels, offset=offset)
        if len(values) != count * channels:
            return super().read(start, samples)  # cut short meanwhile, which it reports
        by_channel = values.reshape(count, channels).T
        audio = np.empty((channels, count), np.float32)
        if self.raw.subtype == "PCM_16":
            np.multiply(by_channel, np.float32(1 / 32_768), out=audio)
            return audio
        audio[:] = by_channel
        check_finite(audio, str(self.path), start)
        return audio


class ChainReader(Reader):
    """Sounds of the same rate and channels, one after another in a file.

    Only one part is open at a time: systems allow about a thousand open files.
    """

    def __init__(
        self, path: Path, count: int, open_part: Callable[[int, ExitStack], Reader]
    ) -> None:
        """Inspect ``count`` parts, which ``open_part`` opens by index.

        Raises:
            ValueError: if their formats differ.
        """
        self.open_part = open_part
        first: Any = None
        self.lengths: list[int] = []
        for number in range(count):
            with ExitStack() as stack:
                part = open_part(number, stack).info
            first = first if number else part
            if _format(part) != _format(first):
                raise ValueError(
                    f"{path} changes from {_describe(first)} to {_describe(part)} in part "
                    f"{number + 1} of {count}: split it, or convert it to wav"
                )
            self.lengths.append(part.samples)
        total = sum(self.lengths)
        notes = (f"{count} parts in sequence, read as one", *first.notes)
        super().__init__(path, replace(first, samples=total, notes=notes))

    def close(self) -> None:
        """Does nothing: no file stays open between pieces."""

    def pieces(
        self, start: int, samples: int, size: int, kind: str, *, again: bool
    ) -> Iterator[NDArray[np.floating]]:
        """As in ``Reader``; no piece spans two parts."""
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


def _format(info: AudioInfo) -> tuple[int, int, int, str]:
    return info.sample_rate, info.channels, info.channel_mask, info.subtype


def _describe(info: AudioInfo) -> str:
    return f"{info.sample_rate} Hz in {info.channels} channels ({info.subtype or info.container})"


def _seek(file: Any, start: int) -> None:
    """Seek to a sample so that what follows is bit-identical to a full read."""
    if start == file.tell():
        return
    if file.subtype.startswith("MPEG"):
        run_in = _RUN_IN if file.samplerate >= _LOW_RATE else _RUN_IN_AT_LOW_RATES
        file.seek(max(0, start - run_in))
    elif file.subtype == "VORBIS":
        file.seek(max(0, min(start, file.frames - _LAST_PAGE)))
    elif file.subtype not in _STATEFUL:
        file.seek(start)
        return
    while file.tell() < start:
        if not len(file.read(min(_SKIP, start - file.tell()), dtype="float32", always_2d=True)):
            return
