"""Stands in for stempeg, through which musdb reads audio: wav files, without ffmpeg.

It has what ``musdb`` calls for decoded tracks (``is_wav=True``): the length of a file, and a part
of it. Which part of which file is read is musdb's and openunmix's choice.
"""

from typing import Any

import numpy as np
import soundfile


class Info:
    """Length and rate of a wav file; ``stem`` is the number of a stream, of which it has one."""

    def __init__(self, path: str) -> None:
        self.header = soundfile.info(path)

    def samples(self, stem: int) -> int:
        """Samples per channel."""
        return int(self.header.frames)

    def duration(self, stem: int) -> float:
        """Seconds."""
        return float(self.header.duration)

    def rate(self, stem: int) -> float:
        """Hz."""
        return float(self.header.samplerate)


def read_stems(
    filename: str, start: float = 0.0, duration: float | None = None, **rest: Any
) -> tuple[np.ndarray, float]:
    """(sample, channel) float64 of a part of a wav file, both in seconds, and its rate."""
    if rest["sample_rate"] is not None:
        raise ValueError(f"sample_rate is {rest['sample_rate']}: this stand-in does not resample")
    rate = soundfile.info(filename).samplerate
    frames = -1 if duration is None else int(duration * rate)
    return soundfile.read(filename, frames=frames, start=int(start * rate), always_2d=True)
