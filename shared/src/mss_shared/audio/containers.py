"""Files with several audio streams, such as stem.mp4; by PyAV."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from mss_shared.atomic import replacing
from mss_shared.audio.file_part import FilePart, native_name
from mss_shared.audio.pyav_reader import import_av, open_container, open_decoded
from mss_shared.audio.sound import Audio
from mss_shared.audio.stem_mp4 import STEMS, add_stem_box
from mss_shared.audio.tags import Tags

_BITS_PER_SECOND = 256_000


def write_streams(
    target: Path, parts: Mapping[str, Path], *, prefix: str | None = None, tags: Tags | None = None
) -> None:
    """Write an mp4 with one AAC stream per sound file; it appears complete or not at all.

    Each stream has its name in ``parts`` as title. With five streams, the mp4 also gets the box
    that makes it a stem file. The name of the unfinished file begins with ``prefix``; ``tags`` are
    those of the mixture.

    Raises:
        ImportError: if PyAV is not installed.
    """
    av = import_av(target)
    _, *stems = parts
    try:
        with replacing(target, suffix=".mp4", prefix=prefix) as part:
            # As a file: PyAV encodes names strictly.
            with part.open("wb") as file, av.open(file, "w", format="mp4") as container:
                if tags is not None:
                    container.metadata.update(tags.texts())
                _encode(av, container, parts)
            if len(stems) == STEMS:
                add_stem_box(part, stems)
    except av.FFmpegError as error:
        raise OSError(f"{target} can't be written ({error.strerror}): is the disk full?") from None


@dataclass(frozen=True)
class StreamInfo:
    """What the header of one audio stream says; ``seconds`` is 0.0 if it gives no length."""

    sample_rate: int
    channels: int
    seconds: float


def list_streams(path: Path) -> list[StreamInfo]:
    """The audio streams of a file, from its headers.

    Raises:
        ImportError: if PyAV is not installed.
        ValueError: if it is not a readable file.
    """
    av = import_av(path)
    try:
        with FilePart(path) as file, open_container(av, file) as container:
            return [
                StreamInfo(
                    stream.rate or 0,
                    stream.channels,
                    float((stream.duration or 0) * stream.time_base),
                )
                for stream in container.streams.audio
            ]
    except (av.FFmpegError, ValueError) as error:
        reason = str(getattr(error, "strerror", error)).rstrip(".")
        raise ValueError(f"{path} is not a readable file ({reason}): replace it") from None


def read_stream(path: Path, track: int) -> tuple[Audio, int]:
    """Decode one audio stream of a file.

    Args:
        path: the file.
        track: the number of the stream among its audio streams.

    Returns:
        (channel, sample) float32, and the sample rate.

    Raises:
        ImportError: if PyAV is not installed.
        ValueError: if the stream can't be decoded or is incomplete.
    """
    with ExitStack() as stack:
        reader = open_decoded(path, stack, track=track)
        return reader.read(), reader.info.sample_rate


def _encode(av: Any, container: Any, parts: Mapping[str, Path]) -> None:
    """Encode all streams in turn, a second at a time, so that the muxer buffers little."""
    files = [soundfile.SoundFile(native_name(path)) for path in parts.values()]
    try:
        streams = []
        for name, file in zip(parts, files, strict=True):
            stream = container.add_stream("aac", rate=file.samplerate)
            stream.layout = "mono" if file.channels == 1 else "stereo"
            stream.bit_rate = _BITS_PER_SECOND
            stream.metadata["handler_name"] = name  # mp4 has no title per stream
            streams.append(stream)
        done = 0
        while done < files[0].frames:
            for file, stream in zip(files, streams, strict=True):
                values = file.read(file.samplerate, dtype="float32", always_2d=True)
                frame = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(values.T), "fltp", stream.layout.name
                )
                frame.sample_rate, frame.pts = file.samplerate, done
                container.mux(stream.encode(frame))
            done += files[0].samplerate
        for stream in streams:
            container.mux(stream.encode(None))
    finally:
        for file in files:
            file.close()
