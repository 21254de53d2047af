"""File and sample formats by libsndfile's names: what each holds, and how its file is named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Sound files, and videos that may have sound.
SOUND_SUFFIXES = frozenset(
    ".wav .flac .mp3 .ogg .oga .opus .aif .aiff .aifc .w64 .rf64 .caf .au "
    ".bw64 .voc .mp2 .tta .wv .m4a .m4b .mp4 .m4v .mov .3gp .mkv .mka .webm .avi .flv .ts "
    ".aac .ac3 .eac3 .dts .wma".split()
)

STEM_MP4_SUFFIX = ".stem.mp4"  # how DJ software knows an mp4 of several streams

PCM_BITS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32}

_SUFFIXES = {"WAV": ".wav", "FLAC": ".flac", "MP3": ".mp3"}

# What the lossy codecs support: libsndfile and FFmpeg refuse the rest only on opening the file.
_LOSSY_RATES = {
    "mp3": (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
    "mp4": (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000),
}
_LOSSY_CHANNELS = 2

_NATIVE = {name: name for name in ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")} | {
    "ALAC_16": "PCM_16",
    "ALAC_20": "PCM_24",
    "ALAC_24": "PCM_24",
    "ALAC_32": "PCM_32",
    "DWVW_24": "PCM_24",
}


@dataclass(frozen=True)
class Format:
    """A file format and its sample format, by libsndfile's names."""

    container: str
    subtype: str

    @property
    def suffix(self) -> str:
        """The suffix of such a file."""
        return _SUFFIXES[self.container]


def advise(path: Path) -> str:
    """What to do about a file that can't be read: that of a known format is damaged."""
    if path.suffix.lower() in SOUND_SUFFIXES:
        return "it is damaged or no sound, restore or replace it"
    return "use wav, flac, ogg, aiff, mp3 or m4a"


def sound_name(path: Path) -> str:
    """The name of a sound file without its suffix, if that is one: Vol. 1 stays Vol. 1."""
    name = path.name
    if name.lower().endswith(STEM_MP4_SUFFIX):
        return name[: -len(STEM_MP4_SUFFIX)] or name
    return path.stem if path.suffix.lower() in SOUND_SUFFIXES else name


SPOOL = Format("WAV", "FLOAT")  # never clips; used until the final format is known
MP3 = Format("MP3", "MPEG_LAYER_III")


def native_subtype(subtype: str) -> str:
    """The sample format to write for a given input; 8 bits and lossy codecs become PCM_16."""
    return _NATIVE.get(subtype, "PCM_16")


def check_lossy(container: str, channels: int, sample_rate: int) -> None:
    """Raise ValueError if mp3 or mp4 can't hold these channels or this rate; others pass."""
    rates = _LOSSY_RATES.get(container)
    if rates and (channels > _LOSSY_CHANNELS or sample_rate not in rates):
        raise ValueError(
            f"{container} can't hold {channels} channels at {sample_rate} Hz: write wav or flac"
        )


def encode_pcm(values: NDArray[np.floating], subtype: str) -> NDArray[np.signedinteger]:
    """Convert floats at full scale 1.0 to integers for libsndfile, rounding and clipping.

    libsndfile's own conversion scales by 2**(bits-1) - 1, although every reader divides by
    2**(bits-1), and truncates in wav where it rounds in flac.
    """
    bits = PCM_BITS[subtype]
    full = 2 ** (bits - 1)
    # Single precision, scaled by a power of two, is exact, and holds the integers of 24 bits.
    exact = values.dtype == np.float64 or (values.dtype == np.float32 and bits <= 24)
    scaled = np.clip(values if exact else values.astype(np.float64), -1.0, 1.0)
    scaled *= full
    np.rint(scaled, out=scaled)
    np.minimum(scaled, full - 1, out=scaled)
    integers: NDArray[np.signedinteger]
    integers = scaled.astype(np.int16 if bits == 16 else np.int32)
    # libsndfile takes 24-bit samples from the upper bytes of an int32.
    return integers << 8 if bits == 24 else integers


def encode(values: NDArray[np.floating], subtype: str) -> NDArray[np.generic]:
    """Convert floats to the values that libsndfile takes for a sample format."""
    if subtype in PCM_BITS:
        return encode_pcm(values, subtype)
    return values.astype(np.float64 if subtype == "DOUBLE" else np.float32, copy=False)
