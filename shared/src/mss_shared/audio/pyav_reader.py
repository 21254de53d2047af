"""Decode what libsndfile does not read with PyAV: m4a, video, rarer codecs.

A file is decoded once, from its beginning, into an unlinked temporary W64 file, which vanishes
however the program ends. So every frame is checked before any is used, the length is counted rather
than taken from a header, and an excerpt has the same samples as a full read, whatever the codec.
The last decoded file is cached: ``info`` and then any number of excerpts decode it once.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from mss_shared.audio.channel_layout import Order, arranged
from mss_shared.audio.container_headers import read_header
from mss_shared.audio.decoded_sound import FORMATS, DecodedSound, frames_of
from mss_shared.audio.file_part import FilePart, SharedFile
from mss_shared.audio.formats import advise
from mss_shared.audio.mp3_decoder import decode_mp3
from mss_shared.audio.sndfile_reader import SequentialFile, SndfileReader

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_FLOATS = ("FLOAT", "DOUBLE")
# Codecs that encode floats losslessly.
_LOSSLESS_FLOATS = ("pcm_", "wavpack", "als")
# Formats whose headers give the sample count. For others, bytes count (``container_headers``).
_COUNTED = ("flac", "wv", "tta", "ape", "tak")
# The format whose header counts blocks; FFmpeg guesses its timestamps and duration.
_BLOCKS = "avi"
_AVI_SECONDS = 0.1
# Formats whose headers give the end of the last packet, in milliseconds.
_TIMED = ("matroska", "flv")
# The format whose timestamps jump where two files were concatenated.
_JOINED = "mpegts"
_TICK_SECONDS = 0.003
_BATCH = 2**16
# Bytes that are neither samples nor packets of video.
_MOST_BETWEEN = 2**28
# A file modified more recently than this could change again with the same mtime.
_SETTLED_SECONDS = 1.0
_TIME_BASE = 10**6  # per second: FFmpeg's AV_TIME_BASE, the unit of a file's duration


def open_decoded(
    path: Path,
    stack: ExitStack,
    start: int = 0,
    end: int | None = None,
    track: int | None = None,
) -> SndfileReader:
    """Open an audio stream of a file, or of a byte range of it.

    Args:
        path: the file.
        stack: closes the reader.
        start, end: the byte range; None for the end of the file.
        track: the number of the stream among the audio streams; None for the default one.

    Raises:
        ImportError: if PyAV is not installed.
        ValueError: if it has no sound, is not a sound file, changes its format, or is incomplete.
        OSError: if the temporary file can't be written.
    """
    av = import_av(path)
    stat = path.stat()
    key = (path, start, end, track, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    decoded = _LAST.get(key)
    if decoded is None:
        decoded = _decode(av, path, start, end, track)
        _LAST.clear()
        if time.time() - stat.st_mtime > _SETTLED_SECONDS:
            _LAST[key] = decoded
    kept = decoded
    reader = SndfileReader(
        path,
        lambda: SequentialFile(SharedFile(kept.spool)),
        order=kept.order,
        mask=kept.mask,
        notes=kept.notes,
        container=kept.container,
        subtype=kept.subtype,
    )
    stack.callback(reader.close)
    return reader


@dataclass
class _Decoded:
    """A decoded file, and the metadata for its ``SndfileReader``."""

    spool: IO[bytes]
    order: Order
    mask: int
    notes: tuple[str, ...]
    container: str
    subtype: str

    def __del__(self) -> None:
        self.spool.close()  # once neither the cache nor a reader uses it


_LAST: dict[tuple[object, ...], _Decoded] = {}


def _decode(av: Any, path: Path, start: int, end: int | None, track: int | None) -> _Decoded:
    with ExitStack() as stack, ExitStack() as failed:
        spool = failed.enter_context(tempfile.TemporaryFile(prefix="mss-"))
        sound = DecodedSound(path)
        part = stack.enter_context(_Part(sound, start, end))
        try:
            container = stack.enter_context(open_container(av, part))
        except (av.FFmpegError, ValueError) as error:
            raise ValueError(
                f"{path} is not a readable sound file ({_reason(error)}): {advise(path)}"
            ) from None
        stream, notes = _choose_stream(path, container.streams.audio, track)
        if stream.codec_context is None:
            raise ValueError(
                f"{path} uses none of PyAV's {len(av.codecs_available)} codecs: convert it to wav"
            )
        _decode_stream(av, container, stream, sound, spool)
        order, mask = arranged(sound.names)
        name = container.format.name.split(",")[0].upper()
        subtype = _subtype(sound, stream.codec_context.name)
        failed.pop_all()
        return _Decoded(spool, order, mask, notes, name, subtype)


class _Part(FilePart):
    """A byte range that is not searched for ever for the next samples, or packets of video.

    Args:
        sound: what is decoded of it so far.
        start, end: as in `FilePart`.
    """

    def __init__(self, sound: DecodedSound, start: int, end: int | None) -> None:
        super().__init__(sound.path, start, end)
        self.sound, self.known, self.since = sound, (0, 0), 0

    def readinto(self, buffer: WriteableBuffer) -> int:
        """As `FilePart`; a ValueError after many bytes in a row of which nothing came."""
        found = (self.sound.samples, self.sound.others)
        if found != self.known:
            self.known, self.since = found, 0
        count = super().readinto(buffer)
        self.since += count
        if self.since > _MOST_BETWEEN:
            raise ValueError(
                f"{self.sound.path} has more than {_MOST_BETWEEN} bytes without sound before byte "
                f"{self.position}: it is damaged or no sound, replace it"
            )
        return count


def _decode_stream(
    av: Any, container: Any, stream: Any, sound: DecodedSound, spool: IO[bytes]
) -> None:
    """Decode a stream into a W64 file; raise the errors of both libraries as ours."""
    try:
        _spool(container, stream, sound, spool)
    except av.FFmpegError as error:
        raise ValueError(f"{sound.path} can't be decoded ({_reason(error)}): replace it") from None
    except (soundfile.LibsndfileError, AssertionError) as error:
        reason = getattr(error, "error_string", "not all samples arrived").rstrip(".")
        raise OSError(
            f"{sound.path} can't be decoded into {tempfile.gettempdir()} ({reason}): is the disk "
            f"full? Set TMPDIR to another folder"
        ) from None
    finally:
        container.close()


def _subtype(sound: DecodedSound, codec: str) -> str:
    """libsndfile's name of the encoded sample format; '' for a lossy codec decoded to floats."""
    subtype = FORMATS[sound.kind][0]
    if subtype == "PCM_32" and not sound.low_bits:
        return "PCM_24"
    return "" if subtype in _FLOATS and not codec.startswith(_LOSSLESS_FLOATS) else subtype


def _choose_stream(path: Path, streams: Any, track: int | None) -> tuple[Any, tuple[str, ...]]:
    """The stream that a player would choose, and a note on which one if there are several."""
    if not streams:
        raise ValueError(f"{path} has no audio stream: give a file with sound")
    if track is not None:
        return streams[track], ()
    defaults = [n for n, stream in enumerate(streams) if stream.disposition.value & 1]
    index = defaults[0] if defaults else 0
    stream = streams[index]
    if len(streams) == 1:
        return stream, ()
    names = [stream.metadata.get(key, "") for key in ("title", "handler_name", "language")]
    name = next((f" ({each})" for each in names if each not in ("", "SoundHandler", "und")), "")
    which = "the default" if defaults else "the first"
    return stream, (f"read audio track {index + 1} of {len(streams)}{name}, {which}",)


def _spool(container: Any, stream: Any, sound: DecodedSound, spool: IO[bytes]) -> None:
    """Decode a stream into a W64 file."""
    file: Any = None
    target = spool.fileno() if os.name == "posix" else spool
    try:
        written = 0
        for values in _batches(_decoded_frames(container, stream, sound), _BATCH):
            if file is None:
                subtype = FORMATS[sound.kind][0]
                channels = len(sound.names)
                args = ("w", sound.sample_rate, channels, subtype)
                file = soundfile.SoundFile(target, *args, format="W64", closefd=False)
            file.write(values)
            written += len(values)
    finally:
        if file is not None:
            file.close()
    if file is None:
        raise ValueError(f"{sound.path} has no samples: give a file with sound")
    if soundfile.info(SharedFile(spool)).frames != written:  # libsndfile reports no error
        raise AssertionError
    _check_duration(container, stream, sound)


def _batches(values: Iterator[NDArray[Any]], size: int) -> Iterator[NDArray[Any]]:
    """Join arrays into batches of at least ``size`` samples."""
    waiting: list[NDArray[Any]] = []
    for each in values:
        waiting.append(each)
        if sum(map(len, waiting)) >= size:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


def _decoded_frames(container: Any, stream: Any, sound: DecodedSound) -> Iterator[NDArray[Any]]:
    if container.format.name == "mp3" and stream.codec_context.name.startswith("mp3"):
        yield from decode_mp3(container, stream, sound)
        return
    _configure_codec(container, stream)
    # Raw samples up to the end of the file: the last packet may be shorter than the others.
    endless = stream.codec_context.name.startswith("pcm_")
    endless = endless and read_header(sound.path).promised is None
    for packet in container.demux():
        if packet.stream.index != stream.index:
            sound.others += 1
            continue
        if packet.is_corrupt and not endless:
            raise ValueError(
                f"{sound.path} has an incomplete packet after {sound.samples} samples: the file is "
                f"cut short or damaged, replace it"
            )
        for frame in frames_of(packet):
            values = sound.take(frame)
            if container.format.name != _BLOCKS:
                sound.check_gap(frame, joined=container.format.name == _JOINED)
            yield values
        sound.take_times(packet)


def _configure_codec(container: Any, stream: Any) -> None:
    codec = stream.codec_context
    if codec.name == "flac":
        codec.options = {"err_detect": "crccheck+explode"}
    if codec.name == "alac" and container.format.name == "caf":
        from av.codec.context import Flags2

        codec.flags2 |= Flags2.skip_manual  # FFmpeg would trim a last frame without padding


def _check_duration(container: Any, stream: Any, sound: DecodedSound) -> None:
    """Refuse a file that is shorter than the duration in its header."""
    name = container.format.name.split(",")[0]
    seconds: float | None = None
    slack = _TICK_SECONDS
    present = sound.samples / sound.sample_rate
    if stream.duration is not None and name in _COUNTED:
        seconds = float(stream.duration * stream.time_base)
    elif name == _BLOCKS and read_header(sound.path).promised:  # else it was never finished
        seconds = float(stream.frames * stream.time_base)
        # It counts delay and padding, and rounds up.
        slack = _AVI_SECONDS + 2 * sound.longest / sound.sample_rate
    elif name in _TIMED and container.duration and len(container.streams) == 1:
        seconds = container.duration / _TIME_BASE
        present = max(present, sound.end_seconds)
        frame = sound.longest / sound.sample_rate
        if read_header(sound.path).promised is None:
            slack += frame / 2
        elif sound.samples == sound.longest:  # one frame, whose duration may be given as a full one
            seconds = None
        else:  # no byte is missing; the duration may include delay and padding
            slack += 0.25 + 2 * frame
    if seconds is not None and present < seconds - slack:
        raise ValueError(
            f"{sound.path} holds {present:.3f} of the {seconds:.3f} s its header promises: the "
            f"file is cut short, replace it"
        )


def import_av(path: Path) -> Any:
    """Import PyAV.

    Raises:
        ImportError: if it is not installed.
    """
    try:
        import av
    except ImportError:
        raise ImportError(
            f'{path} needs PyAV, which is not installed: pip install "mss-shared[separate]"'
        ) from None
    return av


def open_container(av: Any, file: Any, metadata_errors: str = "replace") -> Any:
    """Open a file with PyAV, that file alone.

    Playlists and session descriptions (HLS, DASH, concat, SDP), which can pass for songs, name
    other files and network addresses: FFmpeg may open none of them.

    Args:
        av: the module.
        file: opened for reading.
        metadata_errors: what becomes of tags that are not UTF-8, as in ``bytes.decode``.
    """
    alone = {"protocol_whitelist": "none"}
    return av.open(file, metadata_errors=metadata_errors, options=alone)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", error)).rstrip(".")
