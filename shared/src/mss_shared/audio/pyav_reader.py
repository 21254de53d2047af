"""Sound that libsndfile does not read: m4a, video, rarer codecs; decoded by PyAV.

A file is decoded once, from its beginning, into a temporary W64 file without a name, which is gone
whatever ends the program. So every frame is looked at before any is used, the length is counted and
not believed, and any part of it reads the same as the whole, whatever the codec. The last file is
kept: to ask what it holds and then to read it, or many excerpts of it, decodes it once.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from mss_shared.audio.channel_layout import Order, arranged
from mss_shared.audio.container_headers import read_header
from mss_shared.audio.decoded_sound import FORMATS, DecodedSound
from mss_shared.audio.file_part import FilePart, SharedFile
from mss_shared.audio.mp3_decoder import decode_mp3
from mss_shared.audio.sndfile_reader import SequentialFile, SndfileReader

_FLOATS = ("FLOAT", "DOUBLE")
# Codecs that give back the floats they were given.
_LOSSLESS_FLOATS = ("pcm_", "wavpack", "als")
# Formats whose headers count the samples. Of others, bytes are counted (``container_headers``).
_COUNTED = ("flac", "wv", "tta", "ape", "tak", "avi")
_AVI_SECONDS = 0.1
# Those whose headers give the end of the last packet, in thousandths of a second.
_TIMED = ("matroska", "flv")
# That whose times jump where two of them were joined.
_JOINED = "mpegts"
_TICK_SECONDS = 0.003
_BATCH = 2**16
# A file that was written later than this may be written again without another time of writing.
_SETTLED_SECONDS = 1.0
_TICKS = 10**6  # per second, FFmpeg's unit of a file's duration


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
    about = path.stat()
    key = (path, start, end, about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)
    decoded = _LAST.get(key)
    if decoded is None:
        decoded = _decode(av, path, start, end)
        _LAST.clear()
        if time.time() - about.st_mtime > _SETTLED_SECONDS:
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
    """A decoded file, and what ``SndfileReader`` is told of it."""

    spool: IO[bytes]
    order: Order
    mask: int
    notes: tuple[str, ...]
    container: str
    subtype: str

    def __del__(self) -> None:
        self.spool.close()  # when the last reader of it is gone


_LAST: dict[tuple[object, ...], _Decoded] = {}


def _decode(av: Any, path: Path, start: int, end: int | None) -> _Decoded:
    with ExitStack() as stack, ExitStack() as failed:
        spool = failed.enter_context(tempfile.TemporaryFile(prefix="mss-"))
        part = stack.enter_context(FilePart(path, start, end))
        try:
            container = stack.enter_context(av.open(part, metadata_errors="replace"))
        except (av.FFmpegError, ValueError) as error:
            raise ValueError(
                f"{path} is not a readable sound file ({_reason(error)}): use wav, flac, ogg, "
                f"aiff, mp3 or m4a"
            ) from None
        stream, notes = _default(path, container.streams.audio)
        if stream.codec_context is None:
            raise ValueError(
                f"{path} is coded in a way that none of PyAV's {len(av.codecs_available)} codecs "
                f"decodes: convert it to wav"
            )
        sound = _spooled(av, container, stream, path, spool)
        order, mask = arranged(sound.names)
        name = container.format.name.split(",")[0].upper()
        subtype = _subtype(sound, stream.codec_context.name)
        failed.pop_all()
        return _Decoded(spool, order, mask, notes, name, subtype)


def _spooled(av: Any, container: Any, stream: Any, path: Path, spool: IO[bytes]) -> DecodedSound:
    """Decode a stream into a W64 file; errors of both libraries become ours."""
    try:
        return _spool(container, stream, path, spool)
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


def _subtype(sound: DecodedSound, codec: str) -> str:
    """libsndfile's name of what was coded; '' if what is decoded has no format of its own."""
    subtype = FORMATS[sound.kind][0]
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


def _spool(container: Any, stream: Any, path: Path, spool: IO[bytes]) -> DecodedSound:
    """Decode a stream into a W64 file."""
    sound = DecodedSound(path)
    file: Any = None
    target = spool.fileno() if os.name == "posix" else spool
    try:
        written = 0
        for values in _batches(_decoded(container, stream, sound), _BATCH):
            if file is None:
                subtype = FORMATS[sound.kind][0]
                channels = len(sound.names)
                about = ("w", sound.sample_rate, channels, subtype)
                file = soundfile.SoundFile(target, *about, format="W64", closefd=False)
            file.write(values)
            written += len(values)
    finally:
        if file is not None:
            file.close()
    if file is None:
        raise ValueError(f"{path} has no samples: give a file with sound")
    if soundfile.info(SharedFile(spool)).frames != written:  # libsndfile does not tell
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


def _decoded(container: Any, stream: Any, sound: DecodedSound) -> Iterator[NDArray[Any]]:
    if container.format.name == "mp3" and stream.codec_context.name.startswith("mp3"):
        yield from decode_mp3(container, stream, sound)
        return
    _set_up(container, stream)
    # Plain samples up to the end of the file, wherever that is: the last packet is no full one.
    endless = stream.codec_context.name.startswith("pcm_")
    endless = endless and read_header(sound.path).promised is None
    for packet in container.demux(stream):
        if packet.is_corrupt and not endless:
            raise ValueError(
                f"{sound.path} holds part of a packet behind {sound.samples} samples: the file is "
                f"cut short or broken, replace it"
            )
        for frame in packet.decode():
            values = sound.take(frame)
            sound.check_gap(frame, joined=container.format.name == _JOINED)
            yield values
        sound.take_times(packet)


def _set_up(container: Any, stream: Any) -> None:
    codec = stream.codec_context
    if codec.name == "flac":
        codec.options = {"err_detect": "crccheck+explode"}
    if codec.name == "alac" and container.format.name == "caf":
        from av.codec.context import Flags2

        codec.flags2 |= Flags2.skip_manual  # or it cuts padding off a last frame that has none


def _check_duration(container: Any, stream: Any, sound: DecodedSound) -> None:
    """Refuse a file that says how long it is and is shorter."""
    name = container.format.name.split(",")[0]
    seconds: float | None = None
    slack = _TICK_SECONDS
    present = sound.samples / sound.sample_rate
    if stream.duration is not None and name in _COUNTED:
        seconds = float(stream.duration * stream.time_base)
        if name == "avi":  # which counts what encoders add, and rounds up
            slack = _AVI_SECONDS + 2 * sound.longest / sound.sample_rate
    elif name in _TIMED and container.duration and len(container.streams) == 1:
        seconds = container.duration / _TICKS
        present = max(present, sound.end_seconds)
        frame = sound.longest / sound.sample_rate
        if read_header(sound.path).promised is None:
            slack += frame / 2
        elif sound.samples == sound.longest:  # one frame, which may count as a full one
            seconds = None
        else:  # no byte is missing; what encoders put before and behind the sound may count
            slack += 0.25 + 2 * frame
    if seconds is not None and present < seconds - slack:
        raise ValueError(
            f"{sound.path} holds {present:.3f} of the {seconds:.3f} s its header promises: the "
            f"file is cut short, replace it"
        )


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
