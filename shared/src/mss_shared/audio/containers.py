"""Write mp4 files with several AAC streams, as DJ software expects of stems; by PyAV."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from mss_shared.atomic import PART, replacing
from mss_shared.audio.file_part import native_name
from mss_shared.audio.pyav_reader import import_av
from mss_shared.audio.stem_mp4 import STEMS, add_stem_box
from mss_shared.audio.tags import Tags

_BITS_PER_SECOND = 256_000


def write_streams(
    target: Path, parts: Mapping[str, Path], *, prefix: str = PART, tags: Tags | None = None
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
