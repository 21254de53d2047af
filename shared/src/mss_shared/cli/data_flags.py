"""The flags by which ``fit`` and ``evaluate`` read files that do not fit."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mss_shared.datasets.tracks import Reading

_HELP = {
    "silence_missing": "a stem that a track lacks is silence",
    "trim": "files of a track that differ in length are cut to the shortest",
    "convert_channels": "mono becomes equal channels, stereo its mean where the model is mono",
    "resample": "files of another sample rate are resampled while they are read",
}


def add_reading_flags(verb: argparse._ActionsContainer) -> None:
    """One flag per liberty; the record says which tracks took it."""
    for name, text in _HELP.items():
        verb.add_argument(f"--{name}", action="store_true", help=text)


def reading_from_flags(arguments: argparse.Namespace) -> Reading:
    """The liberties that were given."""
    from mss_shared.datasets.tracks import Reading

    return Reading(**{field.name: getattr(arguments, field.name) for field in fields(Reading)})
