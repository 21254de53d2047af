"""From blocks of estimates to a song's finished files: rounding, excess, format, sum, names."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mss_shared.audio.formats import SPOOL, Format
from mss_shared.audio.streams import Song
from mss_shared.audio.tags import Tags
from mss_shared.separation.output.exact_sums import (
    Integers,
    fits,
    integer_range,
    keep_within,
    round_jointly,
)
from mss_shared.separation.output.options import Delivery, Guard
from mss_shared.separation.output.plan import FilePlan
from mss_shared.separation.output.stem_files import StemFiles, find_peak, null_depth

Exact = NDArray[np.float64]


def begin_files(song: Song, plan: FilePlan, tags: Tags, guard: Guard | None) -> StemFiles:
    """The files of a plan, begun in the song's rate, channels and length."""
    shape = (song.sample_rate, song.channels, song.samples)
    prefix = None if guard is None else guard.part_prefix
    stem_tags = [tags.of_stem(name) for name in plan.targets]
    return StemFiles([*plan.targets.values()], plan.first_format, *shape, prefix, stem_tags)


def write_plain(
    files: StemFiles, plan: FilePlan, mixture: Exact | None, stems: NDArray[np.floating]
) -> str | None:
    """Write a block as estimated; returns a note if a value exceeds full scale.

    The mixture is None where no file has a part of it.
    """
    values = plan.mix(stems if mixture is None else np.concatenate([stems, mixture[None]]))
    note = None
    if find_peak(values) > 1.0 and files.form.subtype not in ("FLOAT", "DOUBLE"):
        files.change_format(SPOOL)
        if plan.may_float:
            note = "a stem exceeds full scale: written as 32-bit float"
    files.write(values)
    return note


def write_exact(
    files: StemFiles, plan: FilePlan, mixture: Exact | None, stems: NDArray[np.floating]
) -> str | None:
    """Write a block as integers that add up to the song's; returns a note if one does not fit."""
    assert plan.grid is not None and mixture is not None
    integers = round_jointly(stems.astype(np.float64, copy=False), mixture, plan.grid)
    mixture_integers = plan.grid.round(mixture).astype(np.int64)
    signals = np.concatenate([integers, mixture_integers[None]])
    rows = plan.mix(signals)
    note = None
    if not fits(rows, files.form.subtype):
        wider = [name for name in ("FLOAT", "DOUBLE") if fits(rows, name)] if plan.may_float else []
        if wider:
            files.change_format(Format("WAV", wider[0]))
            bits = "32" if wider[0] == "FLOAT" else "64"
            note = f"a stem exceeds its sample format: written as {bits}-bit float"
        else:
            rows, note = _move_excess(plan, signals, files.form.subtype)
    # Dividing by a power of two is exact, so the files hold the integers themselves.
    files.write(rows / plan.grid.scale)
    return note


def _move_excess(plan: FilePlan, signals: Integers, subtype: str) -> tuple[Integers, str]:
    """Rows of integers, one per file, that a fixed format can hold, and a note.

    Files of the partition pass their excess on to each other, so their sum stays the song's.
    Aggregates of them are mixed again from the changed stems, so that they still equal the sum of
    their parts. Any other file is clipped: no file takes its excess.

    Args:
        plan: of the files.
        signals: (stem + 1, channel, sample) stems and mixture.
        subtype: the format.
    """
    rows = plan.mix(signals)
    members = [*plan.partition]
    moved = keep_within(rows[members], subtype)
    for index, row in zip(members, moved, strict=True):
        stems = np.flatnonzero(plan.weights[index])
        if len(stems) == 1:
            signals[stems[0]] = row
    rows = plan.mix(signals)
    rows[members] = moved
    low, high = integer_range(subtype)
    clipped = rows.clip(low, high)
    if (clipped == rows).all():
        return clipped, "what exceeds full scale in a stem was moved to other stems"
    return (
        clipped,
        "what exceeds full scale was moved to other stems, or cut off where none makes up for it",
    )


def finish(files: StemFiles, plan: FilePlan) -> float:
    """Convert the files to their final format; returns the gain applied to all of them."""
    gain = 1.0
    if plan.may_float or files.form == plan.final_format:
        return gain
    if files.peak > 1.0:
        gain = (1.0 - 2.0**-15) / files.peak
    if plan.final_format != SPOOL:
        files.change_format(plan.final_format, gain)
    elif gain != 1.0:
        files.change_format(SPOOL, gain)
    return gain


def sum_depth(files: StemFiles, plan: FilePlan, song: Song) -> float | None:
    """The null test of the closed files; None if they do not make up the song."""
    if not plan.partition:
        return None
    return null_depth([files.files[index].part for index in plan.partition], song.blocks())


def publish(
    files: StemFiles, plan: FilePlan, delivery: Delivery, tags: Tags, channel_mask: int
) -> None:
    """Give the closed files their names, or encode them as the streams of one file."""
    if delivery.container == "mp4":
        plan.write_mp4(files, tags)
    else:
        files.publish(channel_mask)
