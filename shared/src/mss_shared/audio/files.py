"""Sound files: look at them, read any part of them, write them whole or not at all, resample.

Audio in memory is always ``(channel, sample)`` float32 with full scale at 1.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from mss_shared.atomic import replacing
from mss_shared.audio.flac_length import begin_with_length
from mss_shared.audio.mp3_frames import frames_of, xing
from mss_shared.audio.spliced_file import Patched

Audio = NDArray[np.float32]
Exact = NDArray[np.float64]
Repair = tuple[bytes, tuple[tuple[int, int], ...]]

# Bits and integer container of the PCM subtypes that are quantised here, not by libsndfile,
# whose writer scales by 2**(bits-1) - 1 while every reader divides by 2**(bits-1).
_PCM_BITS = {"PCM_16": (16, np.int16), "PCM_24": (24, np.int32)}
SUBTYPES = (*_PCM_BITS, "FLOAT")

# libsndfile reads what is left of a wav or aiff file that was cut short and says so only in its
# log. Programs that write to a pipe can't know the length and promise 2 GiB or more.
_CUT_SHORT = re.compile(r"^\s*(?:data|SSND) : (\d+) \(should be (\d+)\)", re.MULTILINE)
_UNKNOWN_BYTES = 0x7FFF0000

# Of full scale, 1.0. What exceeds it is no sound, and may overflow inside a model.
_LOUDEST = 1e6

# More no codec has: what claims so has a header without a length.
_SAMPLES_PER_BYTE = 2**16


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header says: samples per channel, rate in Hz, libsndfile's format names."""

    samples: int
    sample_rate: int
    channels: int
    subtype: str
    container: str

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.samples / self.sample_rate


def info(path: Path) -> AudioInfo:
    """Read a file's header without decoding its samples.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a sound file that libsndfile reads.
    """
    with _open(path) as file:
        return AudioInfo(file.frames, file.samplerate, file.channels, file.subtype, file.format)


def read(path: Path, start: int = 0, samples: int | None = None) -> Audio:
    """Read ``samples`` samples of every channel from sample ``start`` on, by seeking.

    Returns:
        (channel, sample) float32; all that follows ``start`` if ``samples`` is None.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is unreadable, shorter than asked for, or holds NaN or infinity.
    """
    with _open(path) as file:
        count = file.frames - start if samples is None else samples
        if start < 0 or count < 0 or start + count > file.frames:
            raise ValueError(
                f"{path} has {file.frames} samples, {start} to {start + count} were asked for: "
                f"choose an excerpt inside the file"
            )
        try:
            file.seek(start)
            audio: Audio = file.read(count, dtype="float32", always_2d=True).T
        except soundfile.LibsndfileError as error:
            raise ValueError(
                f"{path} can't be decoded ({error.error_string}): replace the file"
            ) from None
    if audio.shape[1] != count:
        raise ValueError(
            f"{path} ends after {start + audio.shape[1]} of the {start + count} samples its header "
            f"promises: the file is cut short, replace it"
        )
    check_finite(audio, str(path), start)
    return np.ascontiguousarray(audio)


def read_blocks(path: Path, start: int, samples: int, block: int) -> Iterator[Exact]:
    """Read a part of a file front to back, ``block`` samples at a time.

    Yields:
        (channel, sample) float64, in which the integers of every PCM format are exact.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is unreadable, shorter than its header says, or holds what is no sound.
    """
    with _open(path) as file:
        try:
            file.seek(start)
            for first in range(start, start + samples, block):
                count = min(block, start + samples - first)
                values: Exact = file.read(count, dtype="float64", always_2d=True).T
                if values.shape[1] != count:
                    raise ValueError(
                        f"{path} ends after {first + values.shape[1]} of the {start + samples} "
                        f"samples its header promises: the file is cut short, replace it"
                    )
                check_sound(values, str(path), first)
                yield values
        except soundfile.LibsndfileError as error:
            raise ValueError(
                f"{path} can't be decoded ({error.error_string}): replace the file"
            ) from None


def write(path: Path, audio: Audio, sample_rate: int, subtype: str = "PCM_16") -> None:
    """Write ``(channel, sample)`` audio; the file appears complete or not at all.

    The container follows the file name (wav, flac). PCM values are rounded to the nearest
    integer of full scale 2**(bits-1), without dither, so that reading gives them back.

    Raises:
        ValueError: for NaN or infinity, an unknown subtype, one that the container does not have,
            or samples beyond full scale in PCM.
        OSError: if the disk refuses, with nothing left behind.
    """
    check_finite(audio, str(path))
    if subtype not in SUBTYPES:
        raise ValueError(f"unknown sample format {subtype!r}: choose from {', '.join(SUBTYPES)}")
    if not soundfile.check_format(path.suffix[1:], subtype):
        raise ValueError(f"{path} can't hold {subtype} by its name: name it .wav")
    values = _quantise(path, audio, subtype) if subtype in _PCM_BITS else audio
    try:
        with replacing(path) as part:
            soundfile.write(part, values.T, sample_rate, subtype=subtype)
    except soundfile.LibsndfileError as error:
        raise OSError(
            f"{path} can't be written ({error.error_string}): is the disk full?"
        ) from None


def resample(audio: Audio, from_hz: int, to_hz: int) -> Audio:
    """Change the sample rate with soxr's very-high-quality filter.

    Args:
        audio: (channel, sample).
        from_hz: its sample rate.
        to_hz: the wanted one.

    Returns:
        (channel, round(sample * to_hz / from_hz)), the same array if the rates are equal.
    """
    if from_hz == to_hz:
        return audio
    length = round(audio.shape[1] * to_hz / from_hz)
    out = soxr.resample(audio.T, from_hz, to_hz, quality="VHQ").T.astype(np.float32)
    return fit_length(out, length)


def fit_length(audio: Audio, samples: int) -> Audio:
    """Cut or zero-pad ``(channel, sample)`` audio at its end to ``samples`` samples."""
    padded = np.pad(audio, ((0, 0), (0, max(0, samples - audio.shape[1]))))
    return np.ascontiguousarray(padded[:, :samples])


def check_finite(audio: NDArray[np.floating], what: str, start: int = 0) -> None:
    """Raise ValueError with the first place where ``(channel, sample)`` audio is not a number."""
    finite = np.isfinite(audio)
    if not finite.all():
        first = int(np.argmin(finite.all(axis=0)))
        raise ValueError(
            f"{what} holds NaN or infinity first at sample {start + first}: repair the file"
        )


def check_sound(audio: NDArray[np.floating], what: str, start: int = 0) -> None:
    """Raise ValueError as ``check_finite``, or where values are too large to be sound."""
    check_finite(audio, what, start)
    if audio.size and max(float(audio.max()), -float(audio.min())) > _LOUDEST:
        peaks = np.abs(audio).max(axis=0)
        first = int(np.argmax(peaks > _LOUDEST))
        raise ValueError(
            f"{what} holds {peaks[first]:.3g} times full scale at sample {start + first}: repair "
            f"the file"
        )


@contextmanager
def _open(path: Path) -> Iterator[soundfile.SoundFile]:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: check its name")
    repair = _mp3_repair(path) if path.suffix.lower() == ".mp3" else None
    if repair is None:
        with _sound_file(path, path) as file:
            _check_cut(path, file)
            repair = _repair(path, file)
            if repair is None:
                yield file
                return
    with closing(Patched(path, *repair)) as patched, _sound_file(path, patched) as file:
        yield file


def _sound_file(path: Path, source: Path | Patched) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(source)
    except (soundfile.LibsndfileError, TypeError) as error:
        reason = getattr(error, "error_string", str(error))
        raise ValueError(
            f"{path} is not a readable sound file ({reason.rstrip('.')}): use wav, flac, ogg, "
            f"aiff or mp3"
        ) from None


def _check_cut(path: Path, file: soundfile.SoundFile) -> None:
    cut = _CUT_SHORT.search(file.extra_info)
    if cut and int(cut[2]) < int(cut[1]) < _UNKNOWN_BYTES:
        raise ValueError(
            f"{path} holds {cut[2]} of the {cut[1]} bytes of sound its header promises: the file "
            f"is cut short, replace it"
        )


def _repair(path: Path, file: soundfile.SoundFile) -> Repair | None:
    """What to read in place of a file whose header has no length or a wrong one."""
    if file.subtype == "MPEG_LAYER_III":
        return _mp3_repair(path)
    size = path.stat().st_size
    if file.frames <= _SAMPLES_PER_BYTE * size:
        return None
    begin = begin_with_length(path)
    if begin is None:
        raise ValueError(
            f"{path} does not say how long it is, and its end is missing: the file is cut short, "
            f"replace it"
        )
    return begin, ((len(begin), size),)


def _mp3_repair(path: Path) -> Repair | None:
    about = path.stat()
    return _mp3_repair_of(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=4096)
def _mp3_repair_of(path: Path, size: int, _changed: int) -> Repair | None:
    frames = frames_of(path) if size else None
    if frames is None or (frames.promised is not None and frames.count <= frames.promised):
        return None
    return xing(frames), frames.runs


def _quantise(path: Path, audio: Audio, subtype: str) -> NDArray[np.signedinteger]:
    bits, container = _PCM_BITS[subtype]
    peak = float(np.abs(audio).max(initial=0.0))
    if peak > 1.0:
        raise ValueError(
            f"{path} would clip: the peak is {peak:.3f} and {subtype} ends at 1.0: write FLOAT"
        )
    full = 2 ** (bits - 1)
    values: NDArray[np.signedinteger]
    values = np.clip(np.rint(audio.astype(np.float64) * full), -full, full - 1).astype(container)
    # libsndfile takes 24 bits from the upper bytes of an int32.
    return values << 8 if bits == 24 else values
