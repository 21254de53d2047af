"""From a song to its stems: streams, and files that add up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mss_shared.atomic import PART
from mss_shared.audio.streams import (
    BLOCK_SAMPLES,
    Sliding,
    Song,
    open_song,
    resampled,
    resampled_length,
    song_of_array,
)
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.channels import AnyChannels
from mss_shared.separation.chunks import reach
from mss_shared.separation.mixture_consistency import Pair, consistent, rerun_blocks
from mss_shared.separation.output.exact_sums import (
    Integers,
    fits,
    keep_within,
    limits,
    round_jointly,
)
from mss_shared.separation.output.options import Delivery, Guard, Separated
from mss_shared.separation.output.plan import FilePlan, plan_files
from mss_shared.separation.output.stem_files import SPOOL, Format, StemFiles, null_depth
from mss_shared.separation.overlap_add import separate_blocks
from mss_shared.separation.separator import Separator, device_of, interchangeable
from mss_shared.separation.writer_thread import alongside

Report = Callable[[str, int, int], None]
Exact = NDArray[np.float64]
Estimates = NDArray[np.floating]

# What a recipe takes at once is cut beyond this length, into pieces of this much sound with as much
# of the song on either side: a two-hour set should need no more memory than a song.
LONGEST_SECONDS = 600.0
_PIECE_SECONDS, _CONTEXT_SECONDS = 320.0, 10.0


def separate_file(
    model: Separator,
    path: str | Path,
    out: str | Path,
    inference: InferenceConfig,
    delivery: Delivery,
    *,
    part_seconds: tuple[float, float | None] = (0.0, None),
    longest_seconds: float = LONGEST_SECONDS,
    batch: int = 1,
    progress: Report | None = None,
    guard: Guard | None = None,
) -> Separated:
    """Separate one file into files of its own rate, length, channels and sample format.

    The song is read, separated and written block by block: memory does not grow with its length.
    Where ``inference.chunk_seconds`` is 0.0 it does, up to ``longest_seconds``. Off the CPU, one
    block is separated while the one before is written. Files get their names when all are complete.

    Channels go through the model as many together as it takes, a lone one repeated. 8-bit
    integers become 16-bit ones and lossily coded songs 16-bit integers. A stem that would clip
    turns the integers of all into floats; where the format is fixed by its container or the user,
    all are scaled alike, or, lossless, what exceeds full scale moves to other stems.

    Lossless, the files' integers add up to the song's. Songs in float lie on a grid of up to 53
    bits: the files are 32-bit floats if they can hold it and else 64-bit floats, which hold 2**-51
    of full scale.

    Args:
        model: anything that keeps the border.
        path: a sound file.
        out: folder below which ``delivery.filename`` says where the files go.
        inference: how the song is cut.
        delivery: what to write.
        part_seconds: where to start and how much to take, None for all that follows.
        longest_seconds: songs longer than this are cut even if ``inference`` takes them at once.
        batch: chunks per call of the model.
        progress: called with ('', chunks done, chunks in all).
        guard: asked before files are made, told before they get their names.

    Raises:
        FileNotFoundError, ValueError: if the file can't be read, holds NaN, or ends before the
            part starts, or if what is wanted of it can't be written.
        OSError: if the disk refuses.
    """
    path, out = Path(path), Path(out)
    with open_song(path, part_seconds) as song:
        plan = plan_files(song, model, delivery, out, path.stem.removesuffix(".stem"))
        if guard is not None:
            guard.check(plan.paths)
        notes = [*song.notes, *plan.notes, *_notes(song, model)]
        if not inference.chunk_seconds and song.samples > longest_seconds * song.sample_rate:
            inference = _in_pieces(inference)
            notes.append(
                f"longer than {longest_seconds:.0f} s: cut into pieces of {_PIECE_SECONDS:.0f} s, "
                f"{_CONTEXT_SECONDS:.0f} s at either end heard and thrown away"
            )
        estimates = _estimates(song, model, inference, delivery.lossless, batch, progress)
        shape = (song.sample_rate, song.channels, song.samples)
        prefix = PART if guard is None else guard.part_prefix
        targets = [*plan.targets.values()]
        with StemFiles(targets, plan.first_format, *shape, prefix) as files:

            def write_all(blocks: Iterator[Estimates]) -> None:
                write = _write_exactly if delivery.lossless else _write_nearly
                for mixture, stems in _at_song(song, model, blocks, delivery.lossless):
                    note = write(files, plan, mixture, stems)
                    if note and note not in notes:
                        notes.append(note)

            if device_of(model).type == "cpu":  # a second thread would slow the model's own
                write_all(estimates)
            else:
                alongside(estimates, write_all)
            gain = _finish(files, plan)
            files.close()
            depth = None
            if delivery.lossless and plan.whole:
                depth = null_depth([files.files[n].part for n in plan.whole], song.blocks())
            if guard is not None:
                guard.begin(plan.paths)
            if delivery.container == "mp4":
                plan.write_mp4(files)
            else:
                files.publish(song.channel_mask)
    if gain != 1.0:
        notes.append(f"all files are scaled by {20 * math.log10(gain):.2f} dB so that none clips")
    return Separated(plan.paths, depth, 20 * math.log10(gain), tuple(notes))


def separate_song(
    song: str | Path | NDArray[np.floating] | Tensor,
    model: Separator,
    inference: InferenceConfig,
    *,
    sample_rate: int | None = None,
    lossless: str | None = None,
    batch: int = 1,
    progress: Report | None = None,
) -> NDArray[np.float32]:
    """Separate a file or an array of any rate and number of channels, in memory.

    Args:
        song: a sound file, or (channel, sample) audio in floats of full scale 1.0. What soundfile
            reads is (sample, channel): pass its transpose.
        model, inference, batch, progress: as in ``separate_file``.
        sample_rate: of an array; the model's if None.
        lossless: None, ``mask`` or ``rerun``, as in ``Delivery``; the stems then add up to the
            song up to float32 rounding, and a single stem is followed by the residual.

    Returns:
        (stem, channel, sample) at the song's rate and as long as it.

    Raises:
        FileNotFoundError, ValueError: as ``separate_file``.
    """
    blocks = iterate_song(
        song,
        model,
        inference,
        sample_rate=sample_rate,
        lossless=lossless,
        batch=batch,
        progress=progress,
    )
    return np.concatenate([*blocks], axis=-1)


def iterate_song(
    song: str | Path | NDArray[np.floating] | Tensor,
    model: Separator,
    inference: InferenceConfig,
    *,
    sample_rate: int | None = None,
    lossless: str | None = None,
    batch: int = 1,
    progress: Report | None = None,
) -> Iterator[NDArray[np.float32]]:
    """The same lazily: yields (stem, channel, sample) blocks in order, as they are finished."""
    Delivery(lossless=lossless)  # refuses what is no choice
    rate = model.sample_rate if sample_rate is None else sample_rate
    with (
        open_song(Path(song))
        if isinstance(song, (str, Path))
        else nullcontext(song_of_array(song, rate))
    ) as given:
        estimates = _estimates(given, model, inference, lossless, batch, progress)
        for _, stems in _at_song(given, model, estimates, lossless):
            yield stems.astype(np.float32)


def _estimates(
    song: Song,
    model: Separator,
    inference: InferenceConfig,
    lossless: str | None,
    batch: int,
    progress: Report | None,
) -> Iterator[Estimates]:
    """Blocks of (stem, channel, sample) at the model's rate, of ``rerun`` both passes'."""
    samples = resampled_length(song.samples, song.sample_rate, model.sample_rate)
    singles = (block.astype(np.float32) for block in song.blocks())
    at_rate = resampled(singles, song.sample_rate, model.sample_rate, samples)
    window = Sliding(at_rate, reach(samples, inference, model.sample_rate, batch))
    adapted: Separator = AnyChannels(model, song.channels)
    if song.channels == model.channels:
        adapted = model
    if lossless == "rerun" and interchangeable(model):
        raise ValueError(
            "--lossless rerun adds what a second pass finds to stems of the same name, and this "
            "model's stems have no order of their own: choose --lossless mask"
        )
    run = rerun_blocks if lossless == "rerun" else separate_blocks
    estimates = run(adapted, window.tensor, samples, inference, batch=batch, progress=progress)
    return _finite(estimates, model)


def _at_song(
    song: Song, model: Separator, estimates: Iterator[Estimates], lossless: str | None
) -> Iterator[Pair]:
    """Blocks of a song, (channel, sample), and of its stems, (stem, channel, sample), at its rate.

    Lossless, the stems add up to the song up to float32 rounding of what they lacked.
    """
    back = resampled(estimates, model.sample_rate, song.sample_rate, song.samples)
    pairs = _paired(song, back)
    return consistent(pairs, len(model.stems)) if lossless else pairs


def _finite(estimates: Iterator[Tensor], model: Separator) -> Iterator[Estimates]:
    done = 0
    for block in estimates:
        # One NaN or infinity makes the sum one, and so may finite values that are absurd.
        if not torch.isfinite(block.sum()) and not torch.isfinite(block).all():
            bad = torch.nonzero(~torch.isfinite(block))[0]
            stem = model.stems[int(bad[0]) % len(model.stems)]
            raise ValueError(
                f"the estimate of {stem} is no number near sample {done + int(bad[2])}: the "
                f"weights are broken"
            )
        done += block.shape[-1]
        yield block.numpy()


def _paired(song: Song, estimates: Iterator[Estimates]) -> Iterator[Pair]:
    """Blocks of the song beside those of its stems, short enough to be worked on at once."""
    mixture = Sliding(song.blocks(), 0)
    done = 0
    for block in estimates:
        for first in range(0, block.shape[-1], BLOCK_SAMPLES):
            part = block[..., first : first + BLOCK_SAMPLES].astype(np.float64)
            yield mixture.read(done, part.shape[-1]).astype(np.float64, copy=False), part
            done += part.shape[-1]


def _write_nearly(files: StemFiles, plan: FilePlan, mixture: Exact, stems: Exact) -> str | None:
    """Write each value as it is; a note if one does not fit."""
    values = plan.mix(np.concatenate([stems, mixture[None]]))
    peak = float(np.abs(values).max(initial=0.0))
    note = None
    if peak > 1.0 and files.form.subtype not in ("FLOAT", "DOUBLE"):
        files.change(SPOOL)
        if plan.may_float:
            note = "a stem exceeds full scale, written as 32-bit float"
    files.write(values)
    return note


def _write_exactly(files: StemFiles, plan: FilePlan, mixture: Exact, stems: Exact) -> str | None:
    """Write integers that add up to the song's; a note if they had to be changed for it."""
    assert plan.grid is not None
    integers = round_jointly(stems, mixture, plan.grid)
    whole = plan.grid.round(mixture).astype(np.int64)
    rows = plan.mix(np.concatenate([integers, whole[None]]))
    note = None
    if not fits(rows, files.form.subtype):
        wider = [name for name in ("FLOAT", "DOUBLE") if fits(rows, name)] if plan.may_float else []
        if wider:
            files.change(Format("WAV", wider[0]))
            bits = "32" if wider[0] == "FLOAT" else "64"
            note = f"a stem exceeds its sample format, written as {bits}-bit float"
        else:
            rows, note = _held(plan, np.concatenate([integers, whole[None]]), files.form.subtype)
    files.write(rows / plan.grid.scale)
    return note


def _held(plan: FilePlan, signals: Integers, subtype: str) -> tuple[Integers, str]:
    """Rows that a fixed format can hold, and a note.

    The files that are the song together give what exceeds it to each other; what is a sum of them
    follows, and what then exceeds it in a file beside them is cut off: none makes up for it.

    Args:
        plan: of the files.
        signals: (stem + 1, channel, sample) stems and mixture.
        subtype: the format.
    """
    rows = plan.mix(signals)
    members = [*plan.whole]
    moved = keep_within(rows[members], subtype)
    for number, row in zip(members, moved, strict=True):
        stems = np.flatnonzero(plan.weights[number])
        if len(stems) == 1:
            signals[stems[0]] = row
    rows = plan.mix(signals)
    rows[members] = moved
    low, high = limits(subtype)
    held = rows.clip(low, high)
    if (held == rows).all():
        return held, "what exceeds full scale in a stem was moved to other stems"
    return (
        held,
        "what exceeds full scale was moved to other stems, or cut off in a file beside them",
    )


def _finish(files: StemFiles, plan: FilePlan) -> float:
    """Bring the files into their final format; what all were multiplied by."""
    gain = 1.0
    if plan.may_float or files.form == plan.final_format:
        return gain
    if files.peak > 1.0:
        gain = (1.0 - 2.0**-15) / files.peak
    if plan.final_format != SPOOL:
        files.change(plan.final_format, gain)
    elif gain != 1.0:
        files.change(SPOOL, gain)
    return gain


def _in_pieces(inference: InferenceConfig) -> InferenceConfig:
    """Instead of the song at once."""
    return replace(
        inference,
        chunk_seconds=_PIECE_SECONDS,
        overlap=0.0,
        context_seconds=_CONTEXT_SECONDS,
        window="flat",
        edges="none",
    )


def _notes(song: Song, model: Separator) -> list[str]:
    notes = []
    if song.channels != model.channels:
        how = "each by itself" if model.channels == 1 else f"{model.channels} at a time"
        notes.append(
            f"{song.channels} channels through a model of {model.channels}: {how}, a lone one "
            f"repeated"
            if model.channels > 1
            else f"{song.channels} channels through a model of 1: {how}"
        )
    return notes
