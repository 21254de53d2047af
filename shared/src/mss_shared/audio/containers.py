"""mp4 files of several streams of AAC, which DJ software takes for stems; by PyAV."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from mss_shared.atomic import PART, replacing
from mss_shared.audio.pyav_reader import import_av
from mss_shared.audio.stem_mp4 import STEMS, add_stem_box

_BITS_PER_SECOND = 256_000


def write_streams(target: Path, parts: Mapping[str, Path], *, prefix: str = PART) -> None:
    """One mp4 with a stream of AAC per sound file, titled by its name, whole or not at all.

    With four streams behind the first it says so, as DJ software expects of a stem file. The name
    of the unfinished file begins with ``prefix``.

    Raises:
        ImportError: if PyAV is absent.
    """
    av = import_av(target)
    _, *stems = parts
    try:
        with replacing(target, suffix=".mp4", prefix=prefix) as part:
            with av.open(part, "w", format="mp4") as container:
                _encode(av, container, parts)
            if len(stems) == STEMS:
                add_stem_box(part, stems)
    except av.FFmpegError as error:
        raise OSError(f"{target} can't be written ({error.strerror}): is the disk full?") from None


def _encode(av: Any, container: Any, parts: Mapping[str, Path]) -> None:
    """All streams second by second, so that none waits in memory for another."""
    files = [soundfile.SoundFile(path) for path in parts.values()]
    try:
        streams = []
        for name, file in zip(parts, files, strict=True):
            stream = container.add_stream("aac", rate=file.samplerate)
            stream.layout = "mono" if file.channels == 1 else "stereo"
            stream.bit_rate = _BITS_PER_SECOND
            stream.metadata["handler_name"] = name  # what mp4 calls a stream
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
