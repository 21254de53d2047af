"""Track the frames that PyAV decodes: their format must stay the same, without gaps."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# FFmpeg's sample formats: libsndfile's name, and the type of a frame's samples.
FORMATS: dict[str, tuple[str, type[np.number]]] = {
    "u8": ("PCM_U8", np.uint8),
    "s16": ("PCM_16", np.int16),
    "s32": ("PCM_32", np.int32),
    "flt": ("FLOAT", np.float32),
    "dbl": ("DOUBLE", np.float64),
}

# How far a frame's timestamp may be ahead of the samples decoded before it: timestamps in
# milliseconds are off by 0.001 s, those of recorders with jitter by more. A recorder's clock may
# also drift against its sampling clock, at most by this ratio.
_GAP_SECONDS, _DRIFT = 0.05, 1e-3
_LISTED = " channels ("  # in FFmpeg's name of a layout that has none: 7 channels (FL+FR+...)
_JUMP_SECONDS = 10.0  # a larger jump of timestamps starts another recording


@dataclass
class DecodedSound:
    """The state of a stream after the frames decoded so far; empty before the first.

    Attributes:
        path: the file, for error messages.
        kind: FFmpeg's sample format, without the ``p`` of planar ones.
        layout: FFmpeg's name of the channel layout.
        sample_rate: in Hz.
        names: FFmpeg's names of the channels.
        samples: how many were decoded.
        others: how many packets of other streams, such as video, were passed over.
        longest: samples of the longest frame.
        low_bits: whether 32-bit integers use their lowest 8 bits.
        end_seconds: the end of the last packet, padding included.
        start_seconds: the timestamp of the first sample; None if no frame has a timestamp.
        ahead_seconds: how far the last timestamp was ahead of the samples before it.
    """

    path: Path
    kind: str = ""
    layout: str = ""
    sample_rate: int = 0
    names: tuple[str, ...] = ()
    samples: int = 0
    others: int = 0
    longest: int = 0
    low_bits: bool = False
    end_seconds: float = 0.0
    start_seconds: float | None = None
    ahead_seconds: float = 0.0

    def take(self, frame: Any, sample_rate: int | None = None) -> NDArray[Any]:
        """Convert the next frame to (sample, channel) values for libsndfile.

        Args:
            frame: PyAV's.
            sample_rate: in Hz, overrides the frame's: FFmpeg gives the first frame of an mp3 the
                rate of the last frame that it probed.

        Raises:
            ValueError: if the rate, layout or format changes, or the format is unknown.
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
        values = _values(frame, FORMATS[kind][1], len(self.names))
        if kind == "u8":
            values = (values.astype(np.int16) - 128) << 8
        elif kind == "s32":
            self.low_bits = self.low_bits or bool((values & 0xFF).any())
        self.samples += len(values)
        self.longest = max(self.longest, len(values))
        return values

    def check_gap(self, frame: Any, *, joined: bool) -> None:
        """Refuse the frame just taken if its timestamp leaves a gap.

        Args:
            frame: PyAV's.
            joined: whether timestamps may restart, as where recordings were concatenated.

        Raises:
            ValueError: if there is a gap: often the only trace of lost packets.
        """
        if frame.pts is None:
            return
        seconds = (self.samples - frame.samples) / self.sample_rate
        start = float(frame.pts * frame.time_base) - seconds
        if self.start_seconds is None:
            self.start_seconds = start
        ahead = start - self.start_seconds
        if joined and abs(ahead - self.ahead_seconds) > _JUMP_SECONDS:
            self.start_seconds, ahead = start - self.ahead_seconds, self.ahead_seconds
        if ahead > min(self.ahead_seconds + _GAP_SECONDS, _GAP_SECONDS + _DRIFT * seconds):
            raise ValueError(
                f"{self.path} lacks {ahead:.3f} s of sound in the first {seconds + ahead:.3f} s: "
                f"the file is damaged, replace it"
            )
        self.ahead_seconds = ahead

    def take_times(self, packet: Any) -> None:
        """Record the end of a packet, which may be later than the end of its sound."""
        if packet.pts is not None and self.sample_rate:
            seconds = float((packet.duration or 0) * packet.time_base)
            seconds = seconds or self.longest / self.sample_rate
            end = float(packet.pts * packet.time_base) + seconds
            self.end_seconds = max(self.end_seconds, end)


def frames_of(packet: Any) -> list[Any]:
    """The decoded frames of a packet, of any channel layout.

    PyAV copies a layout that FFmpeg has no name for without its channels' names, and both free
    those: the process would abort. So Python's reference to such a layout is never given up.
    """
    frames: list[Any] = packet.decode()
    for frame in frames:
        if _LISTED in frame.layout.name:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(frame.layout))
    return frames


def _values(frame: Any, kind: type[np.number], channels: int) -> NDArray[Any]:
    """A frame as (sample, channel).

    Not by PyAV's ``to_ndarray``, which crashes on eight channels that are not interleaved.
    """
    planes = frame.planes[: channels if frame.format.is_planar else 1]
    flat = [np.frombuffer(plane, kind, frame.samples * channels // len(planes)) for plane in planes]
    return np.stack(flat, axis=1) if frame.format.is_planar else flat[0].reshape(-1, channels)
