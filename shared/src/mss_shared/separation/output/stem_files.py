"""The stem files of a song, written block by block; they appear all complete, or not at all."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from mss_shared.atomic import PART, make_part
from mss_shared.audio.channel_layout import set_mask
from mss_shared.audio.peak_chunk import remove_time
from mss_shared.separation.output.exact_sums import PCM_BITS, integer_range

Exact = NDArray[np.float64]

BLOCK_SAMPLES = 2**16

# RIFF has 32-bit sizes; larger files use RF64, the same format with 64-bit sizes.
_RIFF_BYTES = 2**32 - 2**20
_SAMPLE_BYTES = {"PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
SUFFIXES = {"WAV": ".wav", "FLAC": ".flac", "MP3": ".mp3"}


@dataclass(frozen=True)
class Format:
    """A file format and its sample format, by libsndfile's names."""

    container: str
    subtype: str


SPOOL = Format("WAV", "FLOAT")


class StemFile:
    """A file written under a temporary name beside its target, in an existing folder."""

    def __init__(
        self, target: Path, form: Format, rate: int, channels: int, samples: int, prefix: str
    ) -> None:
        self.target = target
        self.prefix = prefix
        self.form = form
        self.rate = rate
        self.channels = channels
        self.samples = samples
        self.written = 0
        self.part = self._part()
        self.file = self._open(self.part)

    def write(self, values: Exact) -> None:
        """Append (channel, sample) values, full scale 1.0.

        Raises:
            OSError: if writing fails, as on a full disk.
        """
        encoded = _encode(values, self.form.subtype)
        try:
            self.file.write(encoded.T)
        except (soundfile.LibsndfileError, AssertionError) as error:
            raise OSError(_describe_failure(self.target, error)) from None
        self.written += values.shape[-1]

    def change_format(self, form: Format, gain: float = 1.0) -> None:
        """Continue in another format; what was written so far is copied, times ``gain``."""
        self._close()
        before, copied = self.part, self.written > 0
        self.part, self.form, self.written = self._part(form), form, 0
        try:
            self.file = self._open(self.part)
            if copied:
                for block in _blocks(before):
                    self.write(block * gain)
        finally:
            before.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file, still under its temporary name.

        Raises:
            OSError: if it is shorter than what was written, which libsndfile does not report.
        """
        self._close()
        with soundfile.SoundFile(self.part) as file:
            frames = file.frames
        if self.form.container != "MP3" and frames != self.samples:
            raise OSError(
                f"{self.target} can't be written ({frames} of {self.samples} samples arrived): is "
                f"the disk full?"
            )

    def publish(self, mask: int = 0) -> None:
        """Set the loudspeaker of each channel and rename the closed file to its target."""
        remove_time(self.part)
        if self.channels > 2:
            set_mask(self.part, mask)
        os.replace(self.part, self.target)

    def discard(self) -> None:
        """Close and delete the unfinished file, if it is still there."""
        if not self.file.closed:
            self.file.close()
        self.part.unlink(missing_ok=True)

    def _close(self) -> None:
        try:
            self.file.close()
        except soundfile.LibsndfileError as error:
            raise OSError(_describe_failure(self.target, error)) from None

    def _part(self, form: Format | None = None) -> Path:
        suffix = SUFFIXES[(form or self.form).container]
        return make_part(self.target, suffix=suffix, prefix=self.prefix)

    def _open(self, path: Path) -> soundfile.SoundFile:
        container, subtype = self.form.container, self.form.subtype
        size = self.samples * self.channels * _SAMPLE_BYTES.get(subtype, 0)
        options = {}
        if container == "WAV" and size > _RIFF_BYTES:
            container = "RF64"
        elif container == "WAV" and self.channels > 2:
            container = "WAVEX"
        if container == "MP3":  # the highest constant bit rate
            options = {"bitrate_mode": "CONSTANT", "compression_level": 0.0}
        try:
            return soundfile.SoundFile(
                path, "w", self.rate, self.channels, subtype, format=container, **options
            )
        except soundfile.LibsndfileError as error:
            path.unlink(missing_ok=True)
            raise ValueError(
                f"{container.lower()} can't hold {self.channels} channels at {self.rate} Hz "
                f"({error.error_string.rstrip('.')}): write wav"
            ) from None


class StemFiles:
    """The files of one song; leaving the ``with`` block without ``publish`` removes them.

    So are the folders that were created for them.

    Attributes:
        files: in order.
        peak: the largest magnitude written so far.
    """

    def __init__(
        self,
        targets: Sequence[Path],
        form: Format,
        rate: int,
        channels: int,
        samples: int,
        prefix: str = PART,
    ) -> None:
        self.prefix = prefix
        self.files: list[StemFile] = []
        self.new_folders: list[Path] = []
        self.peak = 0.0
        self.form = form
        try:
            for target in targets:
                self.new_folders = missing_folders(target.parent) + self.new_folders
                self.files.append(StemFile(target, form, rate, channels, samples, prefix))
        except BaseException:
            self.discard()
            raise

    def __enter__(self) -> StemFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def write(self, values: Exact) -> None:
        """Append (file, channel, sample) values."""
        if values.size:
            self.peak = max(self.peak, float(values.max()), -float(values.min()))
        for file, signal in zip(self.files, values, strict=True):
            file.write(signal)

    def change_format(self, form: Format, gain: float = 1.0) -> None:
        """Continue all files in another format, as ``StemFile.change_format``."""
        self.form = form
        for file in self.files:
            file.change_format(form, gain)

    def close(self) -> None:
        """Close all files; errors as in ``StemFile.close``."""
        for file in self.files:
            file.close()

    def publish(self, mask: int = 0) -> None:
        """Rename all files to their targets."""
        for file in self.files:
            file.publish(mask)

    def discard(self) -> None:
        """Remove unpublished files, and the folders created for them."""
        for file in self.files:
            file.discard()
        remove_empty(self.new_folders)


def missing_folders(folder: Path) -> list[Path]:
    """A folder and its parents that do not exist yet, deepest first."""
    return list(takewhile(lambda each: not each.exists(), (folder, *folder.parents)))


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove those folders that are empty, in the given order."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def null_depth(parts: Sequence[Path], song: Iterator[Exact]) -> float:
    """Peak of a song minus the sum of its files, in dBFS; minus infinity if they are equal.

    A null test as a listener would run it: the files are read back and added up in order, in
    float64. That is free of rounding if their partial sums fit in 53 bits, as ``fits`` ensures.
    """
    worst = 0.0
    readers = [_blocks(part) for part in parts]
    # Blocks of the files and of the song differ in length: what is read ahead waits here.
    pending = [np.zeros((0, 0))] * len(parts)
    for mixture in song:
        total = np.zeros_like(mixture)
        for index, reader in enumerate(readers):
            block = pending[index]
            while block.shape[-1] < mixture.shape[-1]:
                block = (
                    np.concatenate([block, next(reader)], axis=1) if block.size else next(reader)
                )
            total += block[:, : mixture.shape[-1]]
            pending[index] = block[:, mixture.shape[-1] :]
        worst = max(worst, float(np.abs(mixture - total).max()))
    return 20.0 * math.log10(worst) if worst else -math.inf


def _blocks(path: Path) -> Iterator[Exact]:
    with soundfile.SoundFile(path) as file:
        while len(values := file.read(BLOCK_SAMPLES, dtype="float64", always_2d=True)):
            yield values.T


def _encode(values: Exact, subtype: str) -> NDArray[np.generic]:
    """The values to hand to libsndfile.

    PCM is quantised here, as libsndfile's own conversion truncates in wav and rounds in flac.
    """
    if subtype not in PCM_BITS:
        return values if subtype == "DOUBLE" else values.astype(np.float32)
    low, high = integer_range(subtype)
    integers = np.clip(np.rint(values * -low), low, high)
    if subtype == "PCM_16":
        return integers.astype(np.int16)
    # libsndfile takes 24-bit samples from the upper bytes of an int32.
    return integers.astype(np.int32) << (8 if subtype == "PCM_24" else 0)


def _describe_failure(target: Path, error: Exception) -> str:
    reason = getattr(error, "error_string", "not all samples arrived")
    return f"{target} can't be written ({reason}): is the disk full?"
