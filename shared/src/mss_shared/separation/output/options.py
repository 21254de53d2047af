"""What a user wants written of a song, and what was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

CONTAINERS = ("same", "wav", "flac", "mp3", "mp4")
SUBTYPES = ("PCM_16", "PCM_24", "FLOAT")
LOSSLESS = ("mask", "rerun")
RESIDUAL = "residual"


@dataclass(frozen=True)
class Delivery:
    """The files to write of a song.

    Args:
        container: ``same`` for the input's where it is wav or flac, wav for any other; or ``wav``,
            ``flac``, ``mp3``, or ``mp4`` for one file with the mixture and every stem as streams.
        subtype: sample format, ``PCM_16``, ``PCM_24`` or ``FLOAT``; None for the input's own.
        stems: which of the model's stems to write; None for all.
        aggregates: further files by name, each a sum of stems: ``("drums", "bass")``. ``mixture``
            is the song itself, and a minus sign subtracts: ``("mixture", "-vocals")``.
        lossless: None; ``mask`` to spread what the stems lack over them by their energy in each
            bin; ``rerun`` to separate it once more and spread the rest. The files then add up to
            the song in the written integers.
        filename: where a file goes below the output folder, without its suffix; ``{song}`` and
            ``{stem}`` are filled in. In ``mp4`` the stem is empty, and the name is the song's.
    """

    container: str = "same"
    subtype: str | None = None
    stems: tuple[str, ...] | None = None
    aggregates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lossless: str | None = None
    filename: str = "{song}/{stem}"

    def __post_init__(self) -> None:
        """Refuse what can't be written, before anything is read."""
        _check_choice("container", self.container, CONTAINERS)
        if self.subtype is not None:
            _check_choice("subtype", self.subtype, SUBTYPES)
        if self.lossless is not None:
            _check_choice("lossless", self.lossless, LOSSLESS)
            if self.container in ("mp3", "mp4"):
                raise ValueError(
                    f"stems in {self.container} can't add up to the song, it is a lossy format: "
                    f"write wav or flac, or leave lossless out"
                )
        if self.container == "flac" and self.subtype == "FLOAT":
            raise ValueError("flac can't hold FLOAT: choose PCM_16 or PCM_24, or write wav")
        try:
            filled = {self.filename.format(song="a", stem=stem) for stem in ("b", "c")}
        except (KeyError, IndexError, ValueError):
            filled = set()
        if len(filled) < 2 and not (self.container == "mp4" and filled):
            raise ValueError(
                f"the file name {self.filename!r} is no pattern with {{stem}}: use {{song}} and "
                f"{{stem}}, as in {{song}}/{{stem}}"
            )
        for name in ("stem", *self.aggregates):
            check_place(self.filename.format(song="song", stem=name))

    def written(self, stems: Sequence[str]) -> tuple[str, ...]:
        """What stems a model's become: lossless, a single one is followed by the ``residual``."""
        return (*stems, RESIDUAL) if self.lossless and len(stems) == 1 else tuple(stems)


@dataclass(frozen=True)
class Separated:
    """What ``separate_file`` wrote.

    Attributes:
        paths: the file of each stem and aggregate, by name.
        null_depth_dbfs: peak of the song minus the sum of the files, read again, in dB of full
            scale; minus infinity if they are equal; None if lossless was not asked for, or if not
            everything was written.
        joint_gain_db: what all files were changed by, alike, so that none clips; 0.0 if nothing.
        notes: what the user should know, a sentence each.
    """

    paths: dict[str, Path]
    null_depth_dbfs: float | None
    joint_gain_db: float
    notes: tuple[str, ...]


class Guard(Protocol):
    """Watches over the files of a song; both methods are given final paths by name.

    Attributes:
        part_prefix: how the names of unfinished files begin.
    """

    @property
    def part_prefix(self) -> str: ...

    def check(self, paths: Mapping[str, Path]) -> None:
        """Called before any file is made.

        Raises:
            ValueError: if one must not be written.
        """

    def begin(self, paths: Mapping[str, Path]) -> None:
        """Called when all are complete, before the first gets its name.

        Raises:
            ValueError, OSError: if they must not be written any more.
        """


def check_place(place: str) -> None:
    """Raise ValueError if a file would not lie below the output folder."""
    if Path(place).is_absolute() or ".." in Path(place).parts:
        raise ValueError(
            f"{place} is not below the output folder: choose a --filename, and names for "
            f"--aggregate, without .. and without / at the beginning"
        )


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}: choose from {', '.join(choices)}")
