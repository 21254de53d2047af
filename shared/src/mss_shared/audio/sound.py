"""Array types, the metadata of a file, and checks for invalid samples."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]
Exact = NDArray[np.float64]

# At full scale 1.0. Larger samples can't be sound, and may overflow inside a model.
_LOUDEST = 1e6


@dataclass(frozen=True)
class AudioInfo:
    """The format and length of a sound file.

    Attributes:
        samples: per channel.
        sample_rate: in Hz.
        channels: the channel count.
        subtype: libsndfile's name of the sample format; ``''`` for floats from a lossy codec.
        container: libsndfile's name of the file format, or FFmpeg's in capitals.
        channel_mask: as in ``channel_layout``; 0 if unknown.
        notes: anything unusual about how the file was read, for the user, a sentence each.
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
    """Raise ValueError naming the first NaN or infinite sample of ``(channel, sample)`` audio."""
    finite = np.isfinite(audio)
    if not finite.all():
        first = int(np.argmin(finite.all(axis=0)))
        raise ValueError(
            f"{what} holds NaN or infinity, first at sample {start + first}: repair the file"
        )


def check_sound(audio: NDArray[np.floating], what: str, start: int = 0) -> None:
    """Raise ValueError as ``check_finite`` does, and for values too large to be sound."""
    check_finite(audio, what, start)
    if audio.size and max(float(audio.max()), -float(audio.min())) > _LOUDEST:
        peaks = np.abs(audio).max(axis=0)
        first = int(np.argmax(peaks > _LOUDEST))
        raise ValueError(
            f"{what} holds {peaks[first]:.3g} times full scale at sample {start + first}: repair "
            f"the file"
        )
