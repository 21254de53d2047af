"""What sound in memory is, what a file says of itself, and what is refused as no sound."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]
Exact = NDArray[np.float64]

# Of full scale, 1.0. What exceeds it is no sound, and may overflow inside a model.
_LOUDEST = 1e6


@dataclass(frozen=True)
class AudioInfo:
    """What a sound file holds.

    Attributes:
        samples: per channel.
        sample_rate: in Hz.
        channels: how many.
        subtype: libsndfile's name of the sample format; ``''`` for what a lossy codec decodes to.
        container: libsndfile's name of the file format, or FFmpeg's in capitals.
        channel_mask: which loudspeaker each channel is for, as in ``channel_layout``; 0 if unknown.
        notes: what a user should know of how the file was read, a sentence each.
    """

    samples: int
    sample_rate: int
    channels: int
    subtype: str
    container: str
    channel_mask: int = field(default=0, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.samples / self.sample_rate


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
