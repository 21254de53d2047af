"""Inspect, read, stream and write sound files; knows no model."""

from mss_shared.audio.files import (
    SUBTYPES,
    fit_length,
    info,
    read,
    read_blocks,
    resample,
    write,
)
from mss_shared.audio.reader import open_sound
from mss_shared.audio.sound import Audio, AudioInfo, check_finite, check_sound

__all__ = [
    "SUBTYPES",
    "Audio",
    "AudioInfo",
    "check_finite",
    "check_sound",
    "fit_length",
    "info",
    "open_sound",
    "read",
    "read_blocks",
    "resample",
    "write",
]
