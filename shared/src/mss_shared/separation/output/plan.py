"""Which files a song's stems become, and in which formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mss_shared.audio.streams import Song
from mss_shared.separation.output.exact_sums import PCM_BITS, Grid, grid_of_floats
from mss_shared.separation.output.options import Delivery, check_place
from mss_shared.separation.output.stem_files import SPOOL, SUFFIXES, Format, StemFiles
from mss_shared.separation.separator import Separator

MIXTURE = "mixture"

# What lossy codecs take; libsndfile and FFmpeg would refuse others only at the end.
_LOSSY_RATES = {
    "mp3": (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
    "mp4": (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000),
}
_LOSSY_CHANNELS = 2

# Where ours differs from the input's: 8 bits would be noise, lossy codecs have no bits.
_NATIVE = {name: name for name in ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")} | {
    "ALAC_16": "PCM_16",
    "ALAC_20": "PCM_24",
    "ALAC_24": "PCM_24",
    "ALAC_32": "PCM_32",
    "DWVW_24": "PCM_24",
}


@dataclass(frozen=True)
class FilePlan:
    """What to write.

    Attributes:
        targets: final path by the name of each file, in order.
        paths: what the user is told: the same, or one file for all streams.
        weights: (file, stem + 1) what each file is a sum of: the stems, the mixture last.
        whole: numbers of the files that together are the song; empty if none are.
        first_format: in which writing begins.
        final_format: in which it ends, unless ``may_float`` let it become float.
        may_float: whether a wav of floats may take the place of the final format.
        grid: of the integers that add up; None if they need not.
        notes: for the user.
    """

    targets: dict[str, Path]
    paths: dict[str, Path]
    weights: NDArray[np.int64]
    whole: tuple[int, ...]
    first_format: Format
    final_format: Format
    may_float: bool
    grid: Grid | None
    notes: tuple[str, ...]

    def mix(self, signals: NDArray[Any]) -> NDArray[Any]:
        """(stem + 1, channel, sample) stems and mixture -> (file, channel, sample)."""
        mixed = np.zeros((len(self.weights), *signals.shape[1:]), signals.dtype)
        for values, row in zip(mixed, self.weights, strict=True):
            for number in np.flatnonzero(row):
                values += row[number] * signals[number]
        return mixed

    def write_mp4(self, files: StemFiles) -> None:
        """Encode the closed files as streams of one."""
        from mss_shared.audio.containers import write_streams

        target = next(iter(self.paths.values()))
        parts = {n: f.part for n, f in zip(self.targets, files.files, strict=True)}
        write_streams(target, parts, prefix=files.prefix)


def plan_files(song: Song, model: Separator, delivery: Delivery, out: Path, name: str) -> FilePlan:
    """Decide on files and formats.

    Raises:
        ValueError: for a stem the model does not have, or two files of one name.
    """
    _check_lossy(song, delivery.container)
    stems = delivery.written(model.stems)
    rows = _rows(stems, delivery)
    weights = np.array([*rows.values()], dtype=np.int64)
    final, may_float, notes = _format(song, delivery)
    grid = None
    if delivery.lossless:
        grid, final = _grid(song, final, may_float)
        notes += _grid_notes(song, final)
    whole = _partition(weights, len(stems))
    if delivery.lossless and not whole:
        notes += ("the files written are not all of the song: their sum can't be checked",)
    suffix = SUFFIXES[final.container]
    targets = {row: _target(out, delivery, name, row, suffix) for row in rows}
    paths = targets
    if delivery.container == "mp4":
        one = _mp4_target(out, delivery, name)
        targets = {row: one.with_name(f"{number}-{row}.wav") for number, row in enumerate(rows)}
        paths = dict.fromkeys(rows, one)
    lossy = delivery.container in ("mp3", "mp4")
    first = SPOOL if lossy else final
    return FilePlan(targets, paths, weights, whole, first, final, may_float, grid, notes)


def _check_lossy(song: Song, container: str) -> None:
    rates = _LOSSY_RATES.get(container)
    if rates and (song.channels > _LOSSY_CHANNELS or song.sample_rate not in rates):
        raise ValueError(
            f"{container} can't hold {song.channels} channels at {song.sample_rate} Hz: write wav "
            f"or flac"
        )


def _rows(stems: tuple[str, ...], delivery: Delivery) -> dict[str, list[int]]:
    """By name of each file, how often it holds each stem, and the mixture last."""
    chosen = stems if delivery.stems is None else delivery.stems
    rows: dict[str, list[int]] = {}
    if delivery.container == "mp4":
        rows[MIXTURE] = _row(stems, (MIXTURE,))
    for stem in chosen:
        rows[stem] = _row(stems, (stem,))
    for name, parts in delivery.aggregates.items():
        if name in rows:
            raise ValueError(f"two files would be named {name}: name the aggregate otherwise")
        rows[name] = _row(stems, parts)
    if not rows:
        raise ValueError("no stem is left to write: name one of " + ", ".join(stems))
    return rows


def _row(stems: tuple[str, ...], parts: Sequence[str]) -> list[int]:
    row = [0] * (len(stems) + 1)
    for part in parts:
        name = part.removeprefix("-")
        if name != MIXTURE and name not in stems:
            raise ValueError(
                f"there is no stem {name!r}: choose from {', '.join(stems)} or {MIXTURE}"
            )
        row[-1 if name == MIXTURE else stems.index(name)] += -1 if part.startswith("-") else 1
    return row


def _partition(weights: NDArray[np.int64], stems: int) -> tuple[int, ...]:
    """Files that add up to the song: those of single stems, or all that are none of the mixture."""
    alone = [n for n, row in enumerate(weights) if row[-1] == 0 and row[:-1].sum() == 1]
    for numbers in (
        alone,
        [n for n, row in enumerate(weights) if row[-1] == 0],
        range(len(weights)),
    ):
        row = weights[list(numbers)].sum(axis=0)
        if (row[:-1] + row[-1] == 1).all() and len(numbers):
            return tuple(numbers)
    return ()


def _format(song: Song, delivery: Delivery) -> tuple[Format, bool, tuple[str, ...]]:
    """The final format, whether floats in wav may replace it, and what to say of it."""
    container = delivery.container.upper()
    if container == "SAME":
        wide = (delivery.subtype or song.subtype) in ("PCM_32", "FLOAT")  # libsndfile's has 24 bits
        container = "FLAC" if song.container == "FLAC" and not wide else "WAV"
    subtype = delivery.subtype or _NATIVE.get(song.subtype, "PCM_16")
    notes: tuple[str, ...] = ()
    if delivery.subtype is None and song.subtype in ("PCM_U8", "PCM_S8"):
        notes = ("an 8-bit song, written in 16 bits",)
    if container == "MP4":
        return SPOOL, False, notes
    if container == "MP3":
        return Format("MP3", "MPEG_LAYER_III"), False, notes
    if container == "FLAC" and subtype not in ("PCM_16", "PCM_24"):
        subtype = "PCM_24"
    return Format(container, subtype), container == "WAV" and delivery.subtype is None, notes


def _grid(song: Song, final: Format, may_float: bool) -> tuple[Grid, Format]:
    """The grid of a lossless delivery, and the format that can hold it."""
    if final.subtype in PCM_BITS:
        return Grid(PCM_BITS[final.subtype] - 1), final
    if not may_float:
        return Grid(23), final
    grid, peak = grid_of_floats(song.blocks())
    enough = final.subtype == "FLOAT" and peak * grid.scale <= 2.0**24
    return grid, replace(final, subtype="FLOAT" if enough else "DOUBLE")


def _grid_notes(song: Song, final: Format) -> tuple[str, ...]:
    if song.subtype == "FLOAT" and final.subtype == "DOUBLE":
        return ("a 32-bit float song whose stems add up to it in 64-bit floats alone",)
    return ()


def _target(out: Path, delivery: Delivery, song: str, stem: str, suffix: str) -> Path:
    place = delivery.filename.format(song=song, stem=stem) + suffix
    check_place(place)
    return out / place


def _mp4_target(out: Path, delivery: Delivery, song: str) -> Path:
    """The one file of all streams, in the folder that the pattern gives without a stem."""
    place = delivery.filename.format(song=song, stem="").lstrip("/")
    check_place(place)
    return out / Path(place).parent / f"{song}.stem.mp4"
