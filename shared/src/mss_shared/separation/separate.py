"""Separate a song into stems: as arrays, as a stream, or as files that add up to it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mss_shared.audio.formats import sound_name
from mss_shared.audio.streams import (
    BLOCK_SAMPLES,
    Sliding,
    Song,
    open_song,
    resampled,
    resampled_length,
    song_from_array,
)
from mss_shared.audio.tags import read_tags
from mss_shared.console import Report
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.channels import AnyChannels
from mss_shared.separation.chunks import find_lookback
from mss_shared.separation.mixture_consistency import Exact, Pair, make_consistent, rerun_blocks
from mss_shared.separation.output.delivering import (
    begin_files,
    finish,
    publish,
    sum_depth,
    write_exact,
    write_plain,
)
from mss_shared.separation.output.options import Delivery, Guard, Separated
from mss_shared.separation.output.plan import FilePlan, plan_files
from mss_shared.separation.output.stem_files import StemFiles
from mss_shared.separation.output.targets import check_targets
from mss_shared.separation.overlap_add import separate_blocks
from mss_shared.separation.separator import Separator, get_device, interchangeable
from mss_shared.separation.writer_thread import alongside
from mss_shared.stopping import interruptible, uninterrupted

Estimates = NDArray[np.floating]

# Songs longer than this are processed in pieces even if the recipe separates songs at once, with
# some context on either side: a two-hour set should need no more memory than a song.
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
    """Separate a file into stem files of its own rate, length, channels and sample format.

    The song is read, separated and written block by block, so memory does not grow with its length,
    except up to ``longest_seconds`` if ``inference.chunk_seconds`` is 0.0. On a GPU, one block is
    separated while the previous one is written. Files appear under their names once all are
    complete.

    Channels pass through the model in groups of as many as it takes; a short group repeats its last
    channel. 8-bit and lossy input is written as 16-bit. If a stem exceeds full scale, all files
    become float; where container or user fix the format, all files are scaled by one gain, or, if
    lossless, the excess moves to other stems. Tags go to every stem, whose name is appended to the
    title.

    Lossless, all samples lie on a common grid and the files add up to the song exactly. The grid of
    a float song is as fine as its samples, down to 2**-51 of full scale; the files are 32-bit
    floats if these can hold it, else 64-bit floats.

    Args:
        model: anything with the interface of ``Separator``.
        path: a sound file.
        out: output folder; ``delivery.filename`` is relative to it.
        inference: how the song is chunked.
        delivery: what to write.
        part_seconds: start and duration of the part to separate; a duration of None is the rest.
        longest_seconds: songs longer than this are chunked even if ``inference`` takes them at
            once.
        batch: chunks per call of the model.
        progress: called with ('', chunks done, chunks in total).
        guard: checked before files are created, and notified before they are renamed.

    Raises:
        FileNotFoundError, ValueError: if the file can't be read, holds NaN or ends before the
            part starts, or if the delivery can't be written for it.
        OSError: if writing fails, as on a full disk.
    """
    path, out = Path(path), Path(out)
    with open_song(path, part_seconds) as song:
        plan = plan_files(song, model, delivery, out, sound_name(path))
        check_targets(dict.fromkeys(plan.paths.values()))
        if guard is not None:
            guard.check(plan.paths)
        notes = [*song.notes, *plan.notes, *_notes(song, model)]
        if not inference.chunk_seconds and song.samples > longest_seconds * song.sample_rate:
            inference = _in_pieces(inference)
            notes.append(_piece_note(longest_seconds))
        estimates = _estimates(song, model, inference, delivery.lossless, batch, progress)
        tags = read_tags(path).later(song.start)
        with uninterrupted(), begin_files(song, plan, tags, guard) as files, interruptible():
            _write(files, plan, song, model, delivery, estimates, notes)
            gain = finish(files, plan)
            files.close()
            depth = sum_depth(files, plan, song) if delivery.lossless else None
            if guard is not None:
                guard.begin(plan.paths)
            publish(files, plan, delivery, tags, song.channel_mask)
    gain_db = 20 * math.log10(gain)
    if gain != 1.0:
        notes.append(f"all files were scaled by {gain_db:.2f} dB so that none clips")
    return Separated(plan.paths, depth, gain_db, tuple(notes))


def _write(
    files: StemFiles,
    plan: FilePlan,
    song: Song,
    model: Separator,
    delivery: Delivery,
    estimates: Iterator[Estimates],
    notes: list[str],
) -> None:
    """Write all estimates, on a GPU while the next are made, and add to the notes."""
    write = write_exact if delivery.lossless else write_plain

    def write_all(blocks: Iterator[Estimates]) -> None:
        for mixture, stems in _at_song_rate(
            song, model, blocks, delivery.lossless, plan.of_mixture
        ):
            note = write(files, plan, mixture, stems)
            if note and note not in notes:
                notes.append(note)

    # On a CPU a writer thread gains nothing (experiments/2026-12-whole-songs).
    if get_device(model).type == "cpu":
        write_all(estimates)
    else:
        alongside(estimates, write_all)


def separate_song(
    song: str | Path | NDArray[np.floating] | Tensor,
    model: Separator,
    inference: InferenceConfig,
    *,
    sample_rate: int | None = None,
    lossless: str | None = None,
    longest_seconds: float = math.inf,
    batch: int = 1,
    progress: Report | None = None,
) -> NDArray[np.float32]:
    """Separate a file or an array of any rate and number of channels, in memory.

    Args:
        song: a sound file, or (channel, sample) float audio with full scale 1.0. soundfile reads
            (sample, channel): pass its transpose.
        model, inference, longest_seconds, batch, progress: as in ``separate_file``.
        sample_rate: of an array; the model's if None.
        lossless: None, ``mask`` or ``rerun``, as in ``Delivery``; the stems then add up to the
            song up to float32 rounding, and a single stem is followed by the residual.

    Returns:
        (stem, channel, sample) at the song's rate and length.

    Raises:
        FileNotFoundError, ValueError: as ``separate_file``.
    """
    blocks = iterate_song(
        song,
        model,
        inference,
        sample_rate=sample_rate,
        lossless=lossless,
        longest_seconds=longest_seconds,
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
    longest_seconds: float = math.inf,
    batch: int = 1,
    progress: Report | None = None,
) -> Iterator[NDArray[np.float32]]:
    """As ``separate_song``, but yield (stem, channel, sample) blocks in order, as they finish."""
    Delivery(lossless=lossless)  # checks the choice
    rate = model.sample_rate if sample_rate is None else sample_rate
    with (
        open_song(Path(song))
        if isinstance(song, (str, Path))
        else nullcontext(song_from_array(song, rate))
    ) as opened:
        if not inference.chunk_seconds and opened.samples > longest_seconds * opened.sample_rate:
            inference = _in_pieces(inference)
        estimates = _estimates(opened, model, inference, lossless, batch, progress)
        for _, stems in _at_song_rate(opened, model, estimates, lossless, of_mixture=False):
            yield stems.astype(np.float32)


def _estimates(
    song: Song,
    model: Separator,
    inference: InferenceConfig,
    lossless: str | None,
    batch: int,
    progress: Report | None,
) -> Iterator[Estimates]:
    """Blocks of (stem, channel, sample) at the model's rate; for ``rerun``, of both passes."""
    samples = resampled_length(song.samples, song.sample_rate, model.sample_rate)
    singles = (block.astype(np.float32) for block in song.blocks())
    at_rate = resampled(singles, song.sample_rate, model.sample_rate, samples)
    rerun = lossless == "rerun"
    keep = find_lookback(samples, inference, model.sample_rate, batch, rerun=rerun)
    window = Sliding(at_rate, keep)
    adapted: Separator = AnyChannels(model, song.channels)
    if song.channels == model.channels:
        adapted = model
    if rerun and interchangeable(model):
        raise ValueError(
            "--lossless rerun adds the stems of a second pass to those of the first by name, and "
            "this model's stems are interchangeable (permutation-invariant outputs): choose "
            "--lossless mask"
        )
    run = rerun_blocks if rerun else separate_blocks
    estimates = run(adapted, window.tensor, samples, inference, batch=batch, progress=progress)
    return _finite(estimates, model)


def _at_song_rate(
    song: Song,
    model: Separator,
    estimates: Iterator[Estimates],
    lossless: str | None,
    of_mixture: bool,
) -> Iterator[tuple[Exact | None, Estimates]]:
    """Blocks of (channel, sample) mixture and (stem, channel, sample) stems at the song's rate.

    Lossless, the stems add up to the song up to float32 rounding of the residual. Else the mixture
    is None unless it is asked for: a second reading of the song.
    """
    resampled_back = resampled(estimates, model.sample_rate, song.sample_rate, song.samples)
    blocks = _in_blocks(resampled_back)
    if lossless:
        return make_consistent(_paired(song, blocks), len(model.stems))
    return _paired(song, blocks) if of_mixture else ((None, block) for block in blocks)


def _finite(estimates: Iterator[Tensor], model: Separator) -> Iterator[Estimates]:
    done = 0
    for block in estimates:
        # Cheap first: any NaN or infinity spreads to the sum, though huge values may overflow too.
        if not torch.isfinite(block.sum()) and not torch.isfinite(block).all():
            bad = torch.nonzero(~torch.isfinite(block))[0]
            stem = model.stems[int(bad[0]) % len(model.stems)]
            raise ValueError(
                f"the estimate of {stem} is NaN or infinite near sample {done + int(bad[2])}: the "
                f"weights are invalid, use others"
            )
        done += block.shape[-1]
        yield block.numpy()
        del block  # before the next is made


def _in_blocks(estimates: Iterator[Estimates]) -> Iterator[Estimates]:
    """The same in blocks of at most ``BLOCK_SAMPLES``; the last does not keep the whole alive."""
    for block in estimates:
        last = (block.shape[-1] - 1) // BLOCK_SAMPLES * BLOCK_SAMPLES
        for first in range(0, last, BLOCK_SAMPLES):
            yield block[..., first : first + BLOCK_SAMPLES]
        rest = block[..., last:].copy()
        del block  # before the next is made
        yield rest


def _paired(song: Song, estimates: Iterator[Estimates]) -> Iterator[Pair]:
    """Blocks of stems, each with the same part of the song."""
    mixture = Sliding(song.blocks(), 0)
    done = 0
    for stems in estimates:
        part = mixture.read(done, stems.shape[-1])
        yield part.astype(np.float64, copy=False), stems.astype(np.float64)
        done += stems.shape[-1]


def _in_pieces(inference: InferenceConfig) -> InferenceConfig:
    """Settings for pieces of a song too long to be separated at once."""
    return replace(
        inference,
        chunk_seconds=_PIECE_SECONDS,
        overlap=0.0,
        context_seconds=_CONTEXT_SECONDS,
        window="flat",
        edges="none",
    )


def _piece_note(longest_seconds: float) -> str:
    return (
        f"longer than {longest_seconds:.0f} s: separated in pieces of {_PIECE_SECONDS:.0f} s, of "
        f"which {_CONTEXT_SECONDS:.0f} s at either end are context and discarded"
    )


def _notes(song: Song, model: Separator) -> list[str]:
    notes = []
    if song.channels != model.channels:
        how = "one by one"
        if model.channels > 1:
            how = f"{model.channels} at a time, a leftover one repeated"
        notes.append(f"{song.channels} channels through a {model.channels}-channel model: {how}")
    return notes
