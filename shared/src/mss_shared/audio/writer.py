"""Write one sound file block by block, under a temporary name until it is complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import numpy as np
import soundfile
from numpy.typing import NDArray

from mss_shared.atomic import make_part, named_finally
from mss_shared.audio.channel_layout import set_mask
from mss_shared.audio.file_part import native_name
from mss_shared.audio.formats import Format, encode
from mss_shared.audio.peak_chunk import remove_time
from mss_shared.audio.sound import Exact
from mss_shared.audio.streams import BLOCK_SAMPLES
from mss_shared.audio.tags import Tags, add_id3, add_time_reference, set_texts
from mss_shared.stopping import interruptible, uninterrupted

# RIFF has 32-bit sizes; larger files use RF64, the same format with 64-bit sizes.
_RIFF_BYTES = 2**32 - 2**20
_SYSTEM_ERROR = 2  # libsndfile's code of a file that can't be opened
_SAMPLE_BYTES = {"PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}


class SoundWriter:
    """A file that grows under a temporary name beside its target.

    Call ``write`` and ``change_format`` as needed, then ``close`` and ``finish_header``, and rename
    ``part`` to ``target``. ``discard`` is allowed at any time, even after that.

    Attributes:
        part: the unfinished file, beside ``target``.
        form: the format being written.
    """

    def __init__(
        self,
        target: Path,
        form: Format,
        rate: int,
        channels: int,
        samples: int,
        prefix: str | None = None,
        tags: Tags | None = None,
    ) -> None:
        """Create the file.

        Args:
            target: the final path.
            form: the format to begin with.
            rate: sample rate in Hz.
            channels: the channel count.
            samples: how many will be written, per channel.
            prefix: of the temporary name, as in ``make_part``.
            tags: of the sound.

        Raises:
            ValueError: if the format does not support the channels or the rate.
            OSError: if the file can't be created.
        """
        self.target = target
        self.prefix = prefix
        self.form = form
        self.rate = rate
        self.channels = channels
        self.samples = samples
        self.tags = Tags() if tags is None else tags
        self.written = 0
        self.part = self._make_part(form)
        self.file = self._open()

    def write(self, values: NDArray[np.floating]) -> None:
        """Append (channel, sample) values, full scale 1.0.

        Raises:
            OSError: if writing fails, as on a full disk.
        """
        encoded = encode(values, self.form.subtype)
        try:
            # Channel by channel, which is much faster than a copy of the transpose.
            self.file.write(np.stack([*encoded], axis=-1))
        except (soundfile.LibsndfileError, AssertionError) as error:
            raise OSError(_describe_failure(self.target, error)) from None
        self.written += values.shape[-1]

    def change_format(self, form: Format, gain: float = 1.0, stop: Event | None = None) -> None:
        """Continue in another format; what was written so far is scaled by ``gain`` and copied.

        If ``stop`` is set meanwhile, the rest is left out.
        """
        self._close()
        old_part, copy = self.part, self.written > 0
        with uninterrupted():
            self.part, self.form, self.written = self._make_part(form), form, 0
            try:
                self.file = self._open()
                with interruptible():
                    for block in read_back(old_part) if copy else ():
                        if stop is not None and stop.is_set():
                            break
                        self.write(block * gain)
            except soundfile.LibsndfileError as error:
                raise OSError(_describe_failure(self.target, error)) from None
            finally:
                old_part.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file, still under its temporary name.

        Raises:
            OSError: if it is shorter than what was written, which libsndfile does not report.
        """
        self._close()
        try:
            with soundfile.SoundFile(native_name(self.part)) as file:
                frames = file.frames
        except soundfile.LibsndfileError as error:
            raise OSError(_describe_failure(self.target, error)) from None
        if self.form.container != "MP3" and frames != self.samples:
            raise OSError(
                f"{self.target} can't be written ({frames} of {self.samples} samples arrived): is "
                f"the disk full?"
            )

    def finish_header(self, mask: int = 0) -> None:
        """Complete the closed file: channel mask, no timestamp, and tags not written so far.

        Raises:
            OSError: if it can't be changed.
        """
        with named_finally(self.part, self.target):
            remove_time(self.part)
            if self.channels > 2:
                set_mask(self.part, mask)
            if self.tags.time_reference is not None:
                add_time_reference(self.part, self.tags.time_reference)
            if self.form.container == "MP3":
                add_id3(self.part, self.tags)

    def discard(self) -> None:
        """Close the unfinished file, and delete it if it still exists."""
        if not self.file.closed:
            self.file.close()
        self.part.unlink(missing_ok=True)

    def _close(self) -> None:
        try:
            self.file.close()
        except soundfile.LibsndfileError as error:
            raise OSError(_describe_failure(self.target, error)) from None

    def _make_part(self, form: Format) -> Path:
        return make_part(self.target, suffix=form.suffix, prefix=self.prefix)

    def _open(self) -> soundfile.SoundFile:
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
            name, shape = native_name(self.part), (self.rate, self.channels)
            file = soundfile.SoundFile(name, "w", *shape, subtype, format=container, **options)
        except soundfile.LibsndfileError as error:
            self.part.unlink(missing_ok=True)
            if error.code == _SYSTEM_ERROR:
                raise OSError(
                    f"{self.target} can't be opened for writing ({error.error_string}): check the "
                    f"folder and its permissions"
                ) from None
            raise ValueError(
                f"{container.lower()} can't hold {self.channels} channels at {self.rate} Hz "
                f"({error.error_string.rstrip('.')}): write wav"
            ) from None
        if container != "MP3":
            set_texts(file, self.tags)
        return file


def read_back(path: Path) -> Iterator[Exact]:
    """The (channel, sample) blocks of a closed file, exactly as they were written."""
    with soundfile.SoundFile(native_name(path)) as file:
        while len(values := file.read(BLOCK_SAMPLES, dtype="float64", always_2d=True)):
            yield values.T


def _describe_failure(target: Path, error: Exception) -> str:
    reason = getattr(error, "error_string", "not all samples arrived")
    return f"{target} can't be written ({reason}): is the disk full?"
