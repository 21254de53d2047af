"""The frames that PyAV decodes, one by one: what they are, and whether they stay that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# FFmpeg's sample formats: what libsndfile calls them, and as what it takes them.
FORMATS = {
    "u8": ("PCM_U8", np.int16),
    "s16": ("PCM_16", np.int16),
    "s32": ("PCM_32", np.int32),
    "flt": ("FLOAT", np.float32),
    "dbl": ("DOUBLE", np.float64),
}

# How far in seconds a frame may stand behind the samples before it: containers that count in
# thousandths of a second are off by 0.001, recorders whose clocks waver by more. A recorder's clock
# may also run differently from its sampling clock, here by this share.
_GAP_SECONDS, _DRIFT = 0.05, 1e-3
_OTHER_SECONDS = 10.0  # from here on a jump of times is taken for the begin of another recording


@dataclass
class DecodedSound:
    """What the frames of a stream have been so far.

    Attributes:
        path: the file, for errors.
        kind: FFmpeg's sample format, packed; '' before the first frame, as of all below.
        layout: FFmpeg's name of the channel layout.
        sample_rate: in Hz.
        names: of the channels.
        samples: how many were decoded.
        longest: how many a frame had at most.
        low_bits: whether integers of 32 bits use the last 8.
        end_seconds: when the last packet ends, padding included.
        start_seconds: when the first sample sounds; None if no frame says when it does.
        ahead_seconds: how far the last frame stood behind the samples before it.
    """

    path: Path
    kind: str = ""
    layout: str = ""
    sample_rate: int = 0
    names: tuple[str, ...] = ()
    samples: int = 0
    longest: int = 0
    low_bits: bool = False
    end_seconds: float = 0.0
    start_seconds: float | None = None
    ahead_seconds: float = 0.0

    def take(self, frame: Any, sample_rate: int | None = None) -> NDArray[np.generic]:
        """(sample, channel) values of the next frame, as libsndfile takes them.

        Args:
            frame: of PyAV.
            sample_rate: in Hz, where it is known better than by the frame: FFmpeg's first frame of
                an mp3 has the rate of the last one that was looked at before it was opened.

        Raises:
            ValueError: if it is of another rate, layout or format than those before it.
        """
        kind, layout = frame.format.name.removesuffix("p"), frame.layout.name
        rate = sample_rate or frame.sample_rate
        if not self.kind:
            self.kind, self.layout, self.sample_rate = kind, layout, rate
            self.names = tuple(channel.name for channel in frame.layout.channels)
        elif (kind, layout, rate) != (self.kind, self.layout, self.sample_rate):
            raise ValueError(
                f"{self.path} changes from {self.sample_rate} Hz, {self.layout}, {self.kind} to "
                f"{rate} Hz, {layout}, {kind} after {self.samples / self.sample_rate:.2f} s: "
                f"convert it to wav, or split it"
            )
        if kind not in FORMATS:
            raise ValueError(
                f"{self.path} has samples in the format {kind}, which is not one of "
                f"{', '.join(FORMATS)}: convert it to wav"
            )
        values = frame.to_ndarray()
        values = values.T if frame.format.is_planar else values.reshape(-1, len(self.names))
        if kind == "u8":
            values = (values.astype(np.int16) - 128) << 8
        elif kind == "s32":
            self.low_bits = self.low_bits or bool((values & 0xFF).any())
        self.samples += len(values)
        self.longest = max(self.longest, len(values))
        return np.asarray(values, FORMATS[kind][1])

    def check_gap(self, frame: Any, *, joined: bool) -> None:
        """Refuse the frame just taken if it does not follow the samples before it.

        Args:
            frame: of PyAV.
            joined: whether recordings with times of their own may follow each other.

        Raises:
            ValueError: if there is a gap, which is all that damage leaves of what was lost.
        """
        if frame.pts is None:
            return
        seconds = (self.samples - frame.samples) / self.sample_rate
        start = float(frame.pts * frame.time_base) - seconds
        if self.start_seconds is None:
            self.start_seconds = start
        ahead = start - self.start_seconds
        if joined and abs(ahead - self.ahead_seconds) > _OTHER_SECONDS:
            self.start_seconds, ahead = start - self.ahead_seconds, self.ahead_seconds
        if ahead > min(self.ahead_seconds + _GAP_SECONDS, _GAP_SECONDS + _DRIFT * seconds):
            raise ValueError(
                f"{self.path} lacks {ahead:.3f} s of sound in the first {seconds + ahead:.3f} s: "
                f"the file is damaged, replace it"
            )
        self.ahead_seconds = ahead

    def take_times(self, packet: Any) -> None:
        """Note when a packet ends, which may be behind the end of its sound."""
        if packet.pts is not None and self.sample_rate:
            seconds = float((packet.duration or 0) * packet.time_base)
            seconds = seconds or self.longest / self.sample_rate
            end = float(packet.pts * packet.time_base) + seconds
            self.end_seconds = max(self.end_seconds, end)
