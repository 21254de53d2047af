"""Sound files: look at them, read any part of them, stream them, write them; knows no model."""

from mss_shared.audio.files import (
    SUBTYPES,
    Audio,
    AudioInfo,
    check_finite,
    check_sound,
    fit_length,
    info,
    read,
    read_blocks,
    resample,
    write,
)

__all__ = [
    "SUBTYPES",
    "Audio",
    "AudioInfo",
    "check_finite",
    "check_sound",
    "fit_length",
    "info",
    "read",
    "read_blocks",
    "resample",
    "write",
]
