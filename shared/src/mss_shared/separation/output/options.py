"""What the user wants written, and what was written."""

from __future__ import annotations

import string
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
    """The files to write for each song.

    Args:
        container: ``same`` as the input if that is wav or flac, else wav; or ``wav``, ``flac``,
            ``mp3``, or ``mp4`` for one file that holds the mixture and every stem as streams.
        subtype: sample format, ``PCM_16``, ``PCM_24`` or ``FLOAT``; None for the input's own.
        stems: which of the model's stems to write; None for all.
        aggregates: additional files by name, each a sum of stems: ``("drums", "bass")``.
            ``mixture`` is the song itself, and a minus sign subtracts: ``("mixture", "-vocals")``.
        lossless: None; ``mask`` to distribute the residual, mixture minus stems, over the stems by
            their energy in each bin; ``rerun`` to separate the residual once more and distribute
            the remainder. The samples written then add up to those of the song.
        filename: path of a file below the output folder, without suffix; ``{song}`` and ``{stem}``
            are filled in. For ``mp4`` the stem is empty, and the file is named after the song.
    """

    container: str = "same"
    subtype: str | None = None
    stems: tuple[str, ...] | None = None
    aggregates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lossless: str | None = None
    filename: str = "{song}/{stem}"

    def __post_init__(self) -> None:
        """Reject what can't be written before anything is read."""
        _check_choice("container", self.container, CONTAINERS)
        if self.subtype is not None:
            _check_choice("subtype", self.subtype, SUBTYPES)
        if self.lossless is not None:
            _check_choice("lossless", self.lossless, LOSSLESS)
            if self.container in ("mp3", "mp4"):
                raise ValueError(
                    f"stems in {self.container} can't add up to the song, the format is lossy: "
                    f"write wav or flac, or drop lossless"
                )
        if self.container == "flac" and self.subtype == "FLOAT":
            raise ValueError("flac can't hold FLOAT: choose PCM_16 or PCM_24, or write wav")
        if not _is_pattern(self.filename, needs_stem=self.container != "mp4"):
            raise ValueError(
                f"the file name pattern {self.filename!r} is invalid or lacks {{stem}}: use "
                f"{{song}} and {{stem}}, as in {{song}}/{{stem}}"
            )
        for name in ("stem", *self.aggregates):
            check_relative(self.filename.format(song="song", stem=name))

    def written(self, stems: Sequence[str]) -> tuple[str, ...]:
        """The stems available to write: lossless, a single one is followed by the ``residual``."""
        return (*stems, RESIDUAL) if self.lossless and len(stems) == 1 else tuple(stems)


@dataclass(frozen=True)
class Separated:
    """What ``separate_file`` wrote.

    Attributes:
        paths: the file of each stem and aggregate, by name.
        null_depth_dbfs: peak of the null test, the song minus the sum of the files as read back, in
            dBFS; minus infinity if they are equal; None unless lossless was requested and the files
            make up the whole song.
        joint_gain_db: gain applied to all files alike so that none clips; 0.0 if none was needed.
        notes: what the user should know, a sentence each.
    """

    paths: dict[str, Path]
    null_depth_dbfs: float | None
    joint_gain_db: float
    notes: tuple[str, ...]


class Guard(Protocol):
    """Decides whether a song's files may be written; both methods take final paths by name.

    Attributes:
        part_prefix: prefix of the names of unfinished files.
    """

    @property
    def part_prefix(self) -> str: ...

    def check(self, paths: Mapping[str, Path]) -> None:
        """Called before any file is created.

        Raises:
            ValueError: if one must not be written.
        """

    def begin(self, paths: Mapping[str, Path]) -> None:
        """Called when all are complete, before the first is renamed to its final path.

        Raises:
            ValueError, OSError: if they may no longer be written.
        """


def _is_pattern(filename: str, *, needs_stem: bool) -> bool:
    """Whether a pattern has plain fields: a width of its own could take all memory."""
    try:
        fields = [field[1:] for field in string.Formatter().parse(filename) if field[1] is not None]
    except ValueError:  # braces without a partner
        return False
    plain = {("song", "", None), ("stem", "", None)}
    return plain.issuperset(fields) and (not needs_stem or ("stem", "", None) in fields)


def check_relative(path: str) -> None:
    """Raise ValueError if a path would leave the output folder."""
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError(
            f"{path} is not below the output folder: choose a --filename, and names for "
            f"--aggregate, without .. and without a leading /"
        )


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}: choose from {', '.join(choices)}")
