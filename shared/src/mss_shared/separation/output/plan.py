"""Which files are written for a song, and in which formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mss_shared.audio.formats import (
    MP3,
    PCM_BITS,
    SPOOL,
    STEM_MP4_SUFFIX,
    Format,
    check_lossy,
    native_subtype,
)
from mss_shared.audio.streams import Song
from mss_shared.audio.tags import Tags
from mss_shared.separation.output.exact_sums import Grid, find_float_grid
from mss_shared.separation.output.options import Delivery, check_relative
from mss_shared.separation.output.stem_files import StemFiles
from mss_shared.separation.separator import Separator

MIXTURE = "mixture"


@dataclass(frozen=True)
class FilePlan:
    """The files of one song, and how each is mixed from stems and mixture.

    Every file is a sum of stems and mixture with integer weights. Applied to stems that are
    already integers on the grid, such a sum is exact, so an aggregate equals the sum of its
    separate stem files; mixed in float and rounded afterwards, it could differ by a step.

    Attributes:
        targets: path of each file as written, by name, in order.
        paths: paths as reported to the user: the same, or one file that holds all streams.
        weights: (file, stem + 1) integer weights of the stems and, last, the mixture.
        partition: indices of files that add up to the song; empty if no subset does.
        first_format: the format writing starts in.
        final_format: the format of the finished files, unless ``may_float`` turned them to float.
        may_float: whether a float wav may replace the final format.
        grid: the grid on which the files add up; None if they need not.
        notes: for the user.
    """

    targets: dict[str, Path]
    paths: dict[str, Path]
    weights: NDArray[np.int64]
    partition: tuple[int, ...]
    first_format: Format
    final_format: Format
    may_float: bool
    grid: Grid | None
    notes: tuple[str, ...]

    @property
    def of_mixture(self) -> bool:
        """Whether a file has a part of the mixture."""
        return bool(self.weights[:, -1].any())

    def mix(self, signals: NDArray[Any]) -> NDArray[Any]:
        """(stem + 1, channel, sample) stems and mixture -> (file, channel, sample).

        The mixture may be left out where no file has a part of it. Sums are exact, or in float64.
        """
        kind = signals.dtype
        if kind == np.float32 and (np.count_nonzero(self.weights, axis=1) > 1).any():
            kind = np.dtype(np.float64)
        mixed = np.zeros((len(self.weights), *signals.shape[1:]), kind)
        for values, row in zip(mixed, self.weights, strict=True):
            for index in np.flatnonzero(row):
                values += signals[index] if row[index] == 1 else row[index] * signals[index]
        return mixed

    def write_mp4(self, files: StemFiles, tags: Tags) -> None:
        """Encode the closed files as the streams of a single one, with the song's tags."""
        from mss_shared.audio.containers import write_streams

        target = next(iter(self.paths.values()))
        parts = {n: f.part for n, f in zip(self.targets, files.files, strict=True)}
        write_streams(target, parts, prefix=files.prefix, tags=tags)


def plan_files(song: Song, model: Separator, delivery: Delivery, out: Path, name: str) -> FilePlan:
    """Decide on files and formats.

    Raises:
        ValueError: if the model lacks a stem, two files share a name, or the container does not
            support the song's channels or sample rate.
    """
    check_lossy(delivery.container, song.channels, song.sample_rate)
    stems = delivery.written(model.stems)
    rows = _weight_rows(stems, delivery)
    weights = np.array([*rows.values()], dtype=np.int64)
    final, may_float, notes = _format(song, delivery)
    grid = None
    if delivery.lossless:
        grid, final = _grid(song, final, may_float)
        notes += _grid_notes(song, final)
    partition = _find_partition(weights)
    if delivery.lossless and not partition:
        notes += ("the files written do not make up the whole song: their sum is not checked",)
    targets = {row: _target(out, delivery, name, row, final.suffix) for row in rows}
    paths = targets
    if delivery.container == "mp4":
        one = _mp4_target(out, delivery, name)
        spools = [one.with_name(f"{index}-{row}{SPOOL.suffix}") for index, row in enumerate(rows)]
        targets = dict(zip(rows, spools, strict=True))
        paths = dict.fromkeys(rows, one)
    lossy = delivery.container in ("mp3", "mp4")
    first = SPOOL if lossy else final
    return FilePlan(targets, paths, weights, partition, first, final, may_float, grid, notes)


def _weight_rows(stems: tuple[str, ...], delivery: Delivery) -> dict[str, list[int]]:
    """File name -> integer weights of the stems and, last, the mixture."""
    chosen = stems if delivery.stems is None else delivery.stems
    rows: dict[str, list[int]] = {}
    if delivery.container == "mp4":
        rows[MIXTURE] = _weight_row(stems, (MIXTURE,))
    for stem in chosen:
        rows[stem] = _weight_row(stems, (stem,))
    for name, parts in delivery.aggregates.items():
        if name in rows:
            raise ValueError(f"two files would be named {name}: rename the aggregate")
        rows[name] = _weight_row(stems, parts)
    if not rows:
        raise ValueError("no stem is selected: choose from " + ", ".join(stems))
    return rows


def _weight_row(stems: tuple[str, ...], parts: Sequence[str]) -> list[int]:
    row = [0] * (len(stems) + 1)
    for part in parts:
        name = part.removeprefix("-")
        if name != MIXTURE and name not in stems:
            raise ValueError(
                f"there is no stem {name!r}: choose from {', '.join(stems)} or {MIXTURE}"
            )
        row[-1 if name == MIXTURE else stems.index(name)] += -1 if part.startswith("-") else 1
    return row


def _find_partition(weights: NDArray[np.int64]) -> tuple[int, ...]:
    """Files that add up to the song: single stems, all files without the mixture, or all files."""
    without_mixture = [n for n, row in enumerate(weights) if row[-1] == 0]
    single_stems = [n for n in without_mixture if weights[n, :-1].sum() == 1]
    for indices in (single_stems, without_mixture, range(len(weights))):
        row = weights[list(indices)].sum(axis=0)
        # The mixture is the sum of all stems: each of them must be counted exactly once.
        if (row[:-1] + row[-1] == 1).all() and len(indices):
            return tuple(indices)
    return ()


def _format(song: Song, delivery: Delivery) -> tuple[Format, bool, tuple[str, ...]]:
    """The final format, whether float wav may replace it, and notes for the user."""
    container = delivery.container.upper()
    if container == "SAME":
        wide = (delivery.subtype or song.subtype) in ("PCM_32", "FLOAT")  # libsndfile's has 24 bits
        container = "FLAC" if song.container == "FLAC" and not wide else "WAV"
    subtype = delivery.subtype or native_subtype(song.subtype)
    notes: tuple[str, ...] = ()
    if delivery.subtype is None and song.subtype in ("PCM_U8", "PCM_S8"):
        notes = ("8-bit input, written as 16-bit",)
    if container == "MP4":
        return SPOOL, False, notes
    if container == "MP3":
        return MP3, False, notes
    if container == "FLAC" and subtype not in ("PCM_16", "PCM_24"):
        subtype = "PCM_24"
    return Format(container, subtype), container == "WAV" and delivery.subtype is None, notes


def _grid(song: Song, final: Format, may_float: bool) -> tuple[Grid, Format]:
    """The grid of lossless files, and the format that can hold it."""
    if final.subtype in PCM_BITS:
        return Grid(PCM_BITS[final.subtype] - 1), final
    if not may_float:
        return Grid(23), final
    grid, peak = find_float_grid(song.blocks())
    enough = final.subtype == "FLOAT" and peak * grid.scale <= 2.0**24
    return grid, replace(final, subtype="FLOAT" if enough else "DOUBLE")


def _grid_notes(song: Song, final: Format) -> tuple[str, ...]:
    if song.subtype == "FLOAT" and final.subtype == "DOUBLE":
        return ("32-bit float input: stems that add up to it exactly need 64-bit floats",)
    return ()


def _target(out: Path, delivery: Delivery, song: str, stem: str, suffix: str) -> Path:
    relative = delivery.filename.format(song=song, stem=stem) + suffix
    check_relative(relative)
    return out / relative


def _mp4_target(out: Path, delivery: Delivery, song: str) -> Path:
    """The one file of all streams, in the folder that the pattern gives without a stem."""
    relative = delivery.filename.format(song=song, stem="").lstrip("/")
    check_relative(relative)
    return out / Path(relative).parent / f"{song}{STEM_MP4_SUFFIX}"
