"""Small sound files by PyAV, in any container, codec and sample format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 7: "6.1", 8: "7.1"}


def write_av(
    path: Path,
    tracks: Sequence[NDArray[Any]],
    codec: str,
    kind: str,
    *,
    rate: int = 44_100,
    container: str | None = None,
    default: int = 0,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
) -> None:
    """A file with an audio stream for each (channel, sample) array, in integers or floats of kind.

    Args:
        path: of the file; its suffix tells the container unless that is given.
        tracks: what is encoded.
        codec: FFmpeg's name.
        kind: FFmpeg's name of the sample format that the encoder takes.
        rate: in Hz.
        container: FFmpeg's name.
        default: which track players play.
        options, codec_options: of the container and the encoder.
    """
    import av

    with av.open(str(path), "w", format=container, options=options or {}) as out:
        streams = []
        for number, values in enumerate(tracks):
            stream = out.add_stream(codec, rate=rate, options=codec_options or {})
            stream.layout, stream.format = LAYOUTS[len(values)], kind
            stream.disposition = av.stream.Disposition.default if number == default else 0
            stream.codec_context.open()
            streams.append(stream)
        for values, stream in zip(tracks, streams, strict=True):
            for frame in _frames(values, stream.codec_context.frame_size or 1024, kind):
                frame.sample_rate = rate
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))


def _frames(values: NDArray[Any], step: int, kind: str) -> Iterator[Any]:
    import av

    for start in range(0, values.shape[1], step):
        part = values[:, start : start + step]
        frame = av.AudioFrame(kind, LAYOUTS[len(values)], part.shape[1], align=1)
        # PyAV gives a frame of eight channels a ninth plane.
        for plane, row in zip(frame.planes, part if kind.endswith("p") else [part.T], strict=False):
            plane.update(np.ascontiguousarray(row).tobytes())
        frame.pts = start
        yield frame
