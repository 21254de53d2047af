"""Decode every frame of an mp3 whose header has no length or a wrong one; by PyAV."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mss_shared.audio.decoded_sound import DecodedSound, frames_of
from mss_shared.audio.mp3_header import FrameKind, Mp3Header, header_before, header_in, kind_of

_HELD = 8  # the last frames, which may be padding


def decode_mp3(container: Any, stream: Any, sound: DecodedSound) -> Iterator[NDArray[Any]]:
    """The decoded frames, without the delay of the first header and the padding of the last."""
    import av

    stream.codec_context.flags2 |= av.codec.context.Flags2.skip_manual
    first: Mp3Header | None = None  # FFmpeg consumes it: the first packet is the one after it
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
        with suppress(av.error.InvalidDataError):  # bytes between frames, such as tags
            frames = frames_of(packet)
        if frames and kind is not None:
            kinds.append(kind)
            _check_kind(sound.path, kinds)
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


def _check_kind(path: Path, kinds: Sequence[FrameKind]) -> None:
    """Refuse the latest frame if its rate or channels differ from the first frame's."""
    first, kind = kinds[0], kinds[-1]
    if kind != first:
        raise ValueError(
            f"{path} changes its sample rate or channels after {len(kinds) - 1} frames, from "
            f"{first.sample_rate} Hz in {first.channels} channels to {kind.sample_rate} Hz in "
            f"{kind.channels}: convert it to wav"
        )
