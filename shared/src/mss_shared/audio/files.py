"""Inspect, read and write sound files, and resample.

Audio in memory is always ``(channel, sample)`` float32 with full scale at 1.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from mss_shared.atomic import replacing
from mss_shared.audio.file_part import native_name
from mss_shared.audio.formats import PCM_BITS, encode_pcm
from mss_shared.audio.peak_chunk import remove_time
from mss_shared.audio.reader import open_sound
from mss_shared.audio.sound import Audio, AudioInfo, Exact, check_finite

SUBTYPES = ("PCM_16", "PCM_24", "FLOAT")


def info(path: Path) -> AudioInfo:
    """A file's format and length; it is decoded for this only if libsndfile can't read it.

    Raises:
        FileNotFoundError, ValueError, ImportError, OSError: as ``reader.open_sound``.
    """
    with open_sound(path) as sound:
        return sound.info


def read(path: Path, start: int = 0, samples: int | None = None) -> Audio:
    """Read ``samples`` samples of every channel from sample ``start`` on, by seeking.

    Returns:
        (channel, sample) float32; everything from ``start`` on if ``samples`` is None.

    Raises:
        FileNotFoundError, ImportError, OSError: as ``reader.open_sound``.
        ValueError: if it is unreadable, ends before the excerpt does, or holds NaN or infinity.
    """
    with open_sound(path) as sound:
        return sound.read(start, samples)


def read_blocks(path: Path, start: int, samples: int, block: int) -> Iterator[Exact]:
    """Read a part of a file front to back, at most ``block`` samples at a time.

    Yields:
        (channel, sample) float64, in which the integers of every PCM format are exact.

    Raises:
        FileNotFoundError, ImportError, OSError: as ``reader.open_sound``.
        ValueError: if it is unreadable, shorter than its header says, or has invalid samples.
    """
    with open_sound(path) as sound:
        yield from sound.blocks(start, samples, block)


def write(path: Path, audio: Audio, sample_rate: int, subtype: str = "PCM_16") -> None:
    """Write ``(channel, sample)`` audio; the file appears complete or not at all.

    The container is chosen by the suffix (wav, flac). PCM values are rounded to the nearest
    integer at full scale 2**(bits-1), without dither, so that they read back unchanged.

    Raises:
        ValueError: for NaN or infinity, an unknown subtype, one that the container does not
            support, or samples that exceed full scale in PCM.
        OSError: if writing fails; no file is left behind.
    """
    check_finite(audio, str(path))
    if subtype not in SUBTYPES:
        raise ValueError(f"unknown sample format {subtype!r}: choose from {', '.join(SUBTYPES)}")
    if not soundfile.check_format(path.suffix[1:], subtype):
        raise ValueError(f"{path} can't hold {subtype} with this suffix: name it .wav")
    values = _quantise(path, audio, subtype) if subtype in PCM_BITS else audio
    try:
        with replacing(path) as part:
            soundfile.write(native_name(part), values.T, sample_rate, subtype=subtype)
            remove_time(part)
    except soundfile.LibsndfileError as error:
        raise OSError(
            f"{path} can't be written ({error.error_string}): is the disk full?"
        ) from None


def resample(audio: Audio, from_hz: int, to_hz: int) -> Audio:
    """Change the sample rate with soxr's very-high-quality filter.

    Args:
        audio: (channel, sample).
        from_hz: its sample rate.
        to_hz: the target rate.

    Returns:
        (channel, round(sample * to_hz / from_hz)), the same array if the rates are equal.

    Raises:
        ModuleNotFoundError: without the package soxr, if the rates differ.
    """
    if from_hz == to_hz:
        return audio
    soxr = _import_soxr()
    length = round(audio.shape[1] * to_hz / from_hz)
    out = soxr.resample(audio.T, from_hz, to_hz, quality="VHQ").T.astype(np.float32)
    return fit_length(out, length)


def _import_soxr() -> Any:
    try:
        import soxr
    except ImportError:
        raise ModuleNotFoundError(
            "resampling needs the package soxr, which is not installed: pip install "
            '"mss-shared[separate]"'
        ) from None
    return soxr


def fit_length(audio: Audio, samples: int) -> Audio:
    """Cut or zero-pad ``(channel, sample)`` audio at its end to ``samples`` samples."""
    if audio.shape[1] == samples:
        return np.ascontiguousarray(audio)
    padded = np.pad(audio, ((0, 0), (0, max(0, samples - audio.shape[1]))))
    return np.ascontiguousarray(padded[:, :samples])


def _quantise(path: Path, audio: Audio, subtype: str) -> NDArray[np.signedinteger]:
    peak = float(np.abs(audio).max(initial=0.0))
    if peak > 1.0:
        raise ValueError(
            f"{path} would clip: the peak is {peak:.3f}, {subtype} holds up to 1.0: write FLOAT"
        )
    return encode_pcm(audio, subtype)
