"""Sound that libsndfile does not read: m4a, video, rarer codecs; decoded by PyAV.

A file is decoded once, from its beginning, into a temporary W64 file. So every frame is looked at
before any is used, the length is counted and not believed, and any part of it reads the same as the
whole, whatever the codec.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from mss_shared.audio.channel_layout import arranged
from mss_shared.audio.container_headers import read_header
from mss_shared.audio.file_part import FilePart
from mss_shared.audio.mp3_header import FrameKind, Mp3Header, header_before, header_in, kind_of
from mss_shared.audio.sndfile_reader import SequentialFile, SndfileReader

# FFmpeg's sample formats: what libsndfile calls them, and as what it takes them.
_FORMATS = {
    "u8": ("PCM_U8", np.int16),
    "s16": ("PCM_16", np.int16),
    "s32": ("PCM_32", np.int32),
    "flt": ("FLOAT", np.float32),
    "dbl": ("DOUBLE", np.float64),
}
_FLOATS = ("FLOAT", "DOUBLE")
# Codecs that give back the floats they were given.
_LOSSLESS_FLOATS = ("pcm_", "wavpack", "als")
# Formats whose headers count the samples. Of others, bytes are counted (``container_headers``).
_COUNTED = ("flac", "wv", "tta", "ape", "tak")
# Those whose headers give the end of the last packet, in thousandths of a second, and may give no
# bytes.
_TIMED = ("matroska", "flv")
_TICK_SECONDS = 0.003
_BATCH = 2**16
_HELD = 8  # frames of mp3 that may be padding
_TICKS = 10**6  # per second, FFmpeg's unit of a file's duration


@dataclass
class _Sound:
    """What the frames of a stream have been so far."""

    path: Path
    kind: str = ""
    layout: str = ""
    sample_rate: int = 0
    names: tuple[str, ...] = ()
    samples: int = 0
    longest: int = 0
    low_bits: bool = False
    end_seconds: float = 0.0  # of the last packet, padding included

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
        if kind not in _FORMATS:
            raise ValueError(
                f"{self.path} has samples in the format {kind}, which is not one of "
                f"{', '.join(_FORMATS)}: convert it to wav"
            )
        values = frame.to_ndarray()
        values = values.T if frame.format.is_planar else values.reshape(-1, len(self.names))
        if kind == "u8":
            values = (values.astype(np.int16) - 128) << 8
        elif kind == "s32":
            self.low_bits = self.low_bits or bool((values & 0xFF).any())
        self.samples += len(values)
        self.longest = max(self.longest, len(values))
        return np.asarray(values, _FORMATS[kind][1])


def open_decoded(
    path: Path, stack: ExitStack, start: int = 0, end: int | None = None
) -> SndfileReader:
    """A reader of the default audio stream of a file, or of a part of it.

    Args:
        path: of the file.
        stack: closes and removes what was opened and made.
        start, end: its first byte and the one behind its last, None for the end of the file.

    Raises:
        ImportError: if PyAV is absent.
        ValueError: if it has no sound, is no sound file, changes on the way, or is incomplete.
        OSError: if the disk that holds temporary files refuses.
    """
    av = import_av(path)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mss-")))
    part = stack.enter_context(FilePart(path, start, end))
    try:
        container = stack.enter_context(av.open(part, metadata_errors="replace"))
    except (av.FFmpegError, ValueError) as error:
        raise ValueError(
            f"{path} is not a readable sound file ({_reason(error)}): use wav, flac, ogg, aiff, "
            f"mp3 or m4a"
        ) from None
    stream, notes = _default(path, container.streams.audio)
    try:
        sound = _spool(container, stream, path, folder / "sound.w64")
    except av.FFmpegError as error:
        raise ValueError(f"{path} can't be decoded ({_reason(error)}): replace it") from None
    except (soundfile.LibsndfileError, AssertionError) as error:
        reason = getattr(error, "error_string", "not all samples arrived").rstrip(".")
        raise OSError(
            f"{path} can't be decoded into {tempfile.gettempdir()} ({reason}): is the disk full? "
            f"Set TMPDIR to another folder"
        ) from None
    finally:
        container.close()
    name = container.format.name.split(",")[0]
    codec = stream.codec_context.name
    order, mask = arranged(sound.names)
    reader = SndfileReader(
        path,
        lambda: SequentialFile(folder / "sound.w64"),
        order=order,
        mask=mask if len(sound.names) > 2 else 0,
        notes=notes,
        container=name.upper(),
        subtype=_subtype(sound, codec),
    )
    stack.callback(reader.close)
    return reader


def _subtype(sound: _Sound, codec: str) -> str:
    """libsndfile's name of what was coded; '' if what is decoded has no format of its own."""
    subtype = _FORMATS[sound.kind][0]
    if subtype == "PCM_32" and not sound.low_bits:
        return "PCM_24"
    return "" if subtype in _FLOATS and not codec.startswith(_LOSSLESS_FLOATS) else subtype


def _default(path: Path, streams: Any) -> tuple[Any, tuple[str, ...]]:
    """The stream that a player plays, and which it is if there are several."""
    if not streams:
        raise ValueError(f"{path} has no audio stream: give a file with sound")
    numbers = [n for n, stream in enumerate(streams) if stream.disposition & 1]  # default
    number = numbers[0] if numbers else 0
    stream = streams[number]
    if len(streams) == 1:
        return stream, ()
    named = [stream.metadata.get(key, "") for key in ("title", "handler_name", "language")]
    name = next((f" ({each})" for each in named if each not in ("", "SoundHandler", "und")), "")
    which = "the default one" if numbers else "the first one"
    return stream, (f"audio track {number + 1} of {len(streams)}{name} is read, {which}",)


def _spool(container: Any, stream: Any, path: Path, target: Path) -> _Sound:
    """Decode a stream into a W64 file."""
    sound = _Sound(path)
    file: Any = None
    try:
        written = 0
        for values in _batches(_decoded(container, stream, sound), _BATCH):
            if file is None:
                subtype = _FORMATS[sound.kind][0]
                channels = len(sound.names)
                file = soundfile.SoundFile(
                    target, "w", sound.sample_rate, channels, subtype, format="W64"
                )
            file.write(values)
            written += len(values)
    finally:
        if file is not None:
            file.close()
    if file is None:
        raise ValueError(f"{path} has no samples: give a file with sound")
    if soundfile.info(target).frames != written:  # libsndfile does not tell
        raise AssertionError
    _check_duration(container, stream, sound)
    return sound


def _batches(values: Iterator[NDArray[Any]], size: int) -> Iterator[NDArray[Any]]:
    """The same in fewer pieces."""
    waiting: list[NDArray[Any]] = []
    for each in values:
        waiting.append(each)
        if sum(map(len, waiting)) >= size:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


def _decoded(container: Any, stream: Any, sound: _Sound) -> Iterator[NDArray[Any]]:
    if container.format.name == "mp3" and stream.codec_context.name.startswith("mp3"):
        yield from _decoded_mp3(container, stream, sound)
        return
    if stream.codec_context.name == "flac":
        stream.codec_context.options = {"err_detect": "crccheck+explode"}
    if stream.codec_context.name == "alac":  # FFmpeg cuts the padding off a last frame without any
        stream.codec_context.flags2 |= import_av(sound.path).codec.context.Flags2.skip_manual
    packets = 0
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise ValueError(
                f"{sound.path} holds part of a packet behind {sound.samples} samples: the file is "
                f"cut short or broken, replace it"
            )
        packets += bool(packet.size)
        for frame in packet.decode():
            yield sound.take(frame)
        if packet.pts is not None and sound.sample_rate:
            seconds = float((packet.duration or 0) * packet.time_base)
            seconds = seconds or sound.longest / sound.sample_rate
            end = float(packet.pts * packet.time_base) + seconds
            sound.end_seconds = max(sound.end_seconds, end)
    # Of plain samples, each is a packet.
    if container.format.name.startswith("mov") and max(packets, sound.samples) < stream.frames:
        raise ValueError(
            f"{sound.path} holds {packets} of the {stream.frames} packets its header promises: "
            f"the file is cut short, replace it"
        )


def _check_duration(container: Any, stream: Any, sound: _Sound) -> None:
    """Refuse a file that says how long it is and is shorter."""
    name = container.format.name.split(",")[0]
    seconds, slack = None, _TICK_SECONDS
    present = sound.samples / sound.sample_rate
    if stream.duration is not None and name in _COUNTED:
        seconds = float(stream.duration * stream.time_base)
    elif (
        name in _TIMED
        and container.duration
        and len(container.streams) == 1
        and read_header(sound.path).promised is None
    ):
        seconds = container.duration / _TICKS
        present = max(present, sound.end_seconds)
        slack += sound.longest / sound.sample_rate / 2
    if seconds is not None and present < seconds - slack:
        raise ValueError(
            f"{sound.path} holds {present:.3f} of the {seconds:.3f} s its header promises: the "
            f"file is cut short, replace it"
        )


def _decoded_mp3(container: Any, stream: Any, sound: _Sound) -> Iterator[NDArray[Any]]:
    """The frames of sound, without what the first encoder put before and the last behind them."""
    import av

    stream.codec_context.flags2 |= av.codec.context.Flags2.skip_manual
    first: Mp3Header | None = None  # FFmpeg takes it for itself, and gives what follows it
    skip = padding = 0
    held: deque[NDArray[Any]] = deque()
    kinds: list[FrameKind] = []
    for packet in container.demux(stream):
        content = bytes(packet)
        header = header_in(content)
        if first is None:
            first = header or header_before(sound.path, packet.pos or 0) or Mp3Header()
            skip, padding = first.delay or 0, first.padding or 0
        if header is not None:
            padding = header.padding or padding
        kind = kind_of(content)
        if header is not None or (content and kind is None):
            continue
        frames = []
        with suppress(av.error.InvalidDataError):  # bytes between the frames that are no sound
            frames = packet.decode()
        if frames and kind is not None:
            kinds.append(kind)
            if kind != kinds[0]:
                raise ValueError(
                    f"{sound.path} changes its sample rate or channels after {len(kinds) - 1} "
                    f"frames, from {kinds[0].sample_rate} Hz in {kinds[0].channels} channels to "
                    f"{kind.sample_rate} Hz in {kind.channels}: convert it to wav"
                )
        for frame in frames:
            values = sound.take(frame, kinds[0].sample_rate)
            held.append(values[skip:])
            skip = max(0, skip - len(values))
        while len(held) > _HELD:
            yield held.popleft()
    if held:
        last = np.concatenate(held)
        tagged = first is not None and first.delay is not None
        yield last[: max(0, len(last) - padding)] if tagged else last


def import_av(path: Path) -> Any:
    """PyAV.

    Raises:
        ImportError: if it is absent.
    """
    try:
        import av
    except ImportError:
        raise ImportError(
            f"{path} is read or written by PyAV, which is not installed: "
            f'pip install "mss-shared[separate]"'
        ) from None
    return av


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", error)).rstrip(".")
