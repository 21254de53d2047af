"""Sound files of every container, codec and sample format that PyAV writes here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SAMPLES = 40_000
SURROUND_HZ = (300.0, 400.0, 500.0, 100.0, 700.0, 800.0)  # FL FR FC LFE BL BR
# dB that codecs must reach on this sound, where they don't reach 15: old, weak or for speech.
LOSSY = {"vorbis": 9.0}

PCM_LE = "pcm_u8 pcm_s16le pcm_s24le pcm_s32le pcm_f32le pcm_f64le".split()
PCM_BE = "pcm_s8 pcm_s16be pcm_s24be pcm_s32be pcm_f32be pcm_f64be".split()
COMPANDED = ["pcm_alaw", "pcm_mulaw"]
LOSSLESS = [
    "flac",
    "alac",
    "wavpack",
]  # FFmpeg itself can't read the tta in mkv, or flac in nut, it writes

# By suffix: FFmpeg's name of the format, and the codecs to try in it.
CONTAINERS: dict[str, tuple[str, list[str]]] = {
    "wav": ("wav", [*PCM_LE, *COMPANDED, "adpcm_ms", "adpcm_ima_wav", "adpcm_yamaha",
                    "libmp3lame"]),
    "rf64": ("wav", PCM_LE[1:]),
    "w64": ("w64", [*PCM_LE, *COMPANDED]),
    "aiff": ("aiff", [*PCM_BE, *COMPANDED]),
    "au": ("au", [*PCM_BE, *COMPANDED]),
    "caf": ("caf", [*PCM_LE[1:], *PCM_BE, *COMPANDED, "alac", "adpcm_ima_qt"]),
    "voc": ("voc", ["pcm_u8", "pcm_s16le"]),
    "flac": ("flac", ["flac"]),
    "wv": ("wv", ["wavpack"]),
    "tta": ("tta", ["tta"]),
    "ogg": ("ogg", ["libvorbis", "vorbis", "libopus", "flac", "libspeex"]),
    "oga": ("oga", ["flac", "libvorbis"]),
    "opus": ("opus", ["libopus"]),
    "mp3": ("mp3", ["libmp3lame"]),
    "mp2": ("mp2", ["mp2"]),
    "aac": ("adts", ["aac"]),
    "ac3": ("ac3", ["ac3"]),
    "eac3": ("eac3", ["eac3"]),
    "dts": ("dts", ["dca"]),
    "thd": ("truehd", ["truehd"]),
    "mlp": ("mlp", ["mlp"]),
    "wma": ("asf", ["wmav1", "wmav2"]),
    "m4a": ("ipod", ["aac", "alac", "ac3"]),
    "m4b": ("ipod", ["aac"]),
    "mp4": ("mp4", ["aac", "alac", "ac3", "eac3", "flac", "libopus", "libmp3lame", "pcm_s16be"]),
    "3gp": ("3gp", ["aac"]),
    "mov": ("mov", [*PCM_LE, *PCM_BE, *COMPANDED, "aac", "alac", "ac3", "adpcm_ima_qt"]),
    "mkv": ("matroska", [*PCM_LE, *LOSSLESS, "aac", "ac3", "eac3", "libvorbis", "libopus",
                         "libmp3lame", "mp2", "dca", "truehd", "pcm_s16be", "pcm_s24be"]),
    "webm": ("webm", ["libopus", "libvorbis"]),
    "avi": ("avi", [*PCM_LE, *COMPANDED, "libmp3lame", "mp2", "ac3", "aac", "wmav2",
                    "adpcm_ms", "adpcm_ima_wav", "adpcm_yamaha", "adpcm_swf"]),
    "flv": ("flv", ["aac", "libmp3lame", "pcm_s16le", "pcm_u8"]),
    "ts": ("mpegts", ["aac", "ac3", "mp2", "libmp3lame", "libopus"]),
    "nut": ("nut", ["pcm_s16le", "pcm_s24le", "pcm_f32le", "libvorbis"]),
}  # fmt: skip

# What ends anywhere without saying so: no header of theirs tells a length.
UNPROMISED = ("aac", "ac3", "eac3", "dts", "thd", "mlp", "mp2", "ts", "nut")
# What is its frames and nothing else: two of them one after the other are one.
STREAMS = ("aac", "ac3", "eac3", "mp2", "dts")
SURROUND = {
    "wav": ["pcm_s16le", "pcm_f32le"], "rf64": ["pcm_s24le"], "w64": ["pcm_s16le"],
    "flac": ["flac"], "wv": ["wavpack"], "tta": ["tta"], "ogg": ["libvorbis", "libopus", "flac"],
    "m4a": ["aac", "alac", "ac3"], "mp4": ["libopus", "eac3"], "mov": ["pcm_s16le", "pcm_s24be"],
    "caf": ["pcm_s16le", "alac"], "ac3": ["ac3"], "eac3": ["eac3"], "aac": ["aac"],
    "mkv": ["pcm_s16le", "libvorbis", "libopus", "aac", "flac", "wavpack", "dca"],
    "ts": ["ac3", "aac"], "avi": ["pcm_s16le", "ac3"], "aiff": ["pcm_s16be"], "dts": ["dca"],
}  # fmt: skip

_FULL = {"u8": 2**7, "s16": 2**15, "s32": 2**31}
_TYPES = {"u8": np.uint8, "s16": np.int16, "s32": np.int32, "flt": np.float32, "dbl": np.float64}
_LOSSLESS_CODECS = ("pcm_", "flac", "alac", "wavpack", "tta", "truehd", "mlp")


@dataclass(frozen=True)
class Made:
    """A file, and what reading it must give.

    Attributes:
        path: the file.
        codec: its codec.
        kind: FFmpeg's sample format.
        sound: (channel, sample) float64 that was given to the encoder.
        exact: whether the codec keeps it.
    """

    path: Path
    codec: str
    kind: str
    sound: NDArray[np.float64]
    exact: bool


def music(channels: int, rate: int, samples: int = SAMPLES) -> NDArray[np.float64]:
    """Tones that swell, another in each channel, and a little noise."""
    time = np.arange(samples) / rate
    hz = SURROUND_HZ if channels == 6 else (440.0, 660.0)[:channels]
    swell = 0.5 - 0.3 * np.cos(2 * np.pi * 3 * time)
    noise = np.random.default_rng(0).normal(0, 1e-3, (channels, samples))
    return (
        np.stack([0.5 * swell * np.sin(2 * np.pi * (each + 8 * time) * time) for each in hz])
        + noise
    )


def formats(codec: str) -> list[str]:
    """The sample formats that an encoder takes, packed and planar as one; [] if it is absent."""
    try:
        found = av.Codec(codec, "w").audio_formats or []
    except ValueError:
        return []
    kinds: dict[str, str] = {}
    for each in found:
        kinds.setdefault(each.name.removesuffix("p"), each.name)
    return [name for kind, name in kinds.items() if kind in _TYPES]


def write(path: Path, container: str, codec: str, kind: str, channels: int = 2) -> Made:
    """One file; av.FFmpegError or ValueError if PyAV can't."""
    rate = 48_000 if codec in ("libopus", "truehd", "mlp", "dca", "eac3") else 44_100
    if codec == "libspeex":
        rate, channels = 32_000, 1
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    if channels == 6 and codec in ("ac3", "eac3", "dca"):
        layout = "5.1(side)"
    base = kind.removesuffix("p")
    bits = 24 if base == "s32" and not codec.startswith(("pcm_s32", "wavpack")) else 64
    values, sound = _quantised(music(channels, rate), base, bits, codec)
    options = {"strict": "experimental"}
    more = {"rf64": "always"} if path.suffix == ".rf64" else {}
    with av.open(str(path), "w", format=container, options=more) as out:
        stream = out.add_stream(codec, rate=rate, options=options)
        stream.layout, stream.format = layout, kind
        if not codec.startswith(_LOSSLESS_CODECS):
            stream.bit_rate = 64_000 * channels
        stream.codec_context.open()
        step = stream.codec_context.frame_size or 1024
        for start in range(0, values.shape[1], step):
            part = np.ascontiguousarray(values[:, start : start + step])
            packed = part if kind.endswith("p") else part.T.reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(packed), kind, layout)
            frame.sample_rate, frame.pts = rate, start
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return Made(path, codec, base, sound, _keeps(codec))


def _keeps(codec: str) -> bool:
    return codec.startswith(_LOSSLESS_CODECS) and codec not in COMPANDED


def _quantised(
    sound: NDArray[np.float64], base: str, bits: int, codec: str
) -> tuple[NDArray[np.generic], NDArray[np.float64]]:
    """What the encoder is given, and the same as numbers of full scale 1.0."""
    if base not in _FULL:
        values = sound.astype(np.float32 if "f64" not in codec else np.float64)
        return values.astype(_TYPES[base]), values.astype(np.float64)
    step = 2.0 ** (1 - min(bits, {"u8": 8, "s16": 16, "s32": 32}[base]))
    exact = np.rint(sound / step) * step
    shift = 128 if base == "u8" else 0
    return (np.rint(exact * _FULL[base]) + shift).astype(_TYPES[base]), exact
