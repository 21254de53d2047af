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

    def take_times(self, packet: Any) -> None:
        """Note when a packet ends, which may be behind the end of its sound."""
        if packet.pts is not None and self.sample_rate:
            seconds = float((packet.duration or 0) * packet.time_base)
            seconds = seconds or self.longest / self.sample_rate
            end = float(packet.pts * packet.time_base) + seconds
            self.end_seconds = max(self.end_seconds, end)
