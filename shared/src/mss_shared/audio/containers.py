"""Sound in containers that libsndfile does not open: m4a, mp4 with stems, video; by PyAV."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from mss_shared.atomic import PART, replacing
from mss_shared.audio.channel_layout import mask_of_names
from mss_shared.audio.stem_mp4 import STEMS, add_stem_box

SUFFIXES = tuple(".m4a .mp4 .m4v .mov .mkv .webm .aac .ac3 .wma .wv .avi .mka".split())

# Integer frames of lossless codecs keep their integers; all else is float. FFmpeg has no frames
# of 24 bits: they are the upper ones of 32.
_INTEGERS = {"s16": ("PCM_16", np.int16), "s32": ("PCM_24", np.int32)}
_BITS_PER_SECOND = 256_000


@contextmanager
def decoded(path: Path) -> Iterator[tuple[Path, int]]:
    """The first audio stream of a file, as a temporary W64 file, and what its channels are for.

    Raises:
        ImportError: if PyAV is absent.
        ValueError: if the file has no sound or can't be decoded.
        OSError: if the disk that holds temporary files refuses.
    """
    av = _import_av(path)
    with tempfile.TemporaryDirectory(prefix="mss-") as folder:
        sound = Path(folder) / "sound.w64"
        try:
            mask = _decode(av, path, sound)
            if mask is None:
                mask = _decode(av, path, sound, "PCM_32")
        except av.FFmpegError as error:
            raise ValueError(f"{path} can't be decoded ({error.strerror}): replace it") from None
        except (soundfile.LibsndfileError, AssertionError) as error:
            reason = getattr(error, "error_string", "not all samples arrived").rstrip(".")
            raise OSError(
                f"{path} can't be decoded into {tempfile.gettempdir()} ({reason}): is the disk "
                f"full? Set TMPDIR to another folder"
            ) from None
        assert mask is not None
        yield sound, mask


def _decode(av: Any, path: Path, sound: Path, subtype: str | None = None) -> int | None:
    """Write the first audio stream as W64; None, and not all of it, if 24 bits are too few."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            raise ValueError(f"{path} has no audio stream: give a file with sound")
        stream = container.streams.audio[0]
        kind = stream.codec_context.format.name.removesuffix("p")
        channels = stream.codec_context.channels
        mask = mask_of_names(each.name for each in stream.codec_context.layout.channels)
        native, integer = _INTEGERS.get(kind, ("FLOAT", None))
        subtype = subtype or native
        with soundfile.SoundFile(sound, "w", stream.rate, channels, subtype, format="W64") as file:
            written = 0
            for frame in container.decode(stream):
                values = frame.to_ndarray()
                if not frame.format.is_planar:
                    values = values.reshape(-1, channels).T
                if subtype == "PCM_24" and (values & 0xFF).any():
                    return None
                file.write(values.T.astype(integer or np.float32))
                written += values.shape[1]
    if soundfile.info(sound).frames != written:  # libsndfile does not tell
        raise AssertionError
    return mask


def write_streams(target: Path, parts: Mapping[str, Path], *, prefix: str = PART) -> None:
    """One mp4 with a stream of AAC per sound file, titled by its name, whole or not at all.

    With four streams behind the first it says so, as DJ software expects of a stem file. The name
    of the unfinished file begins with ``prefix``.

    Raises:
        ImportError: if PyAV is absent.
    """
    av = _import_av(target)
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


def _import_av(path: Path) -> Any:
    try:
        import av
    except ImportError:
        raise ImportError(
            f"{path.name} needs PyAV, which is not installed: pip install 'mss-shared[av]'"
        ) from None
    return av
