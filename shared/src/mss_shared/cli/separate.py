"""The verb ``separate``: from its flags to separated songs, and what it prints."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TextIO

from mss_shared import audio, console
from mss_shared.checkpoints.assemble import Loaded, assemble, with_passes
from mss_shared.cli import loading
from mss_shared.cli.separate_flags import check_sums, read_sums
from mss_shared.heap import keep_freed_memory
from mss_shared.names import printable
from mss_shared.paper import AnyPaper
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.batch.inputs import SongFile, expanded, find_songs
from mss_shared.separation.batch.lists import read_listed
from mss_shared.separation.batch.manifest import Record
from mss_shared.separation.batch.run import run_batch
from mss_shared.separation.device import BackOff, OutOfMemory, deterministic, pick_device
from mss_shared.separation.output.options import Delivery, Guard, Separated
from mss_shared.separation.passes import MIRRORS, Passes
from mss_shared.separation.separate import LONGEST_SECONDS, separate_file

LEAST_SECONDS = 1.0  # of a chunk, when memory is too small for longer ones
FORMAT = 2  # of the settings in a manifest: raised when equal settings write different files


Load = Callable[[dict[str, Any], Passes], Loaded]  # from the paper's own flags, and the passes


def separate(paper: AnyPaper, arguments: argparse.Namespace) -> None:
    """Split songs into stems; one bad file does not stop the others."""

    def load(flags: dict[str, Any], passes: Passes) -> Loaded:
        checkpoints = loading.checkpoints_from_flags(paper, arguments)
        return assemble(paper, checkpoints, flags, passes.ensemble)

    _end(paper, separate_songs(paper, arguments, load))


def separate_songs(paper: AnyPaper, arguments: argparse.Namespace, load: Load) -> list[Record]:
    """Split songs into stems and print what was done; one bad file does not stop the others.

    Args:
        paper: the package.
        arguments: the flags of ``separate``.
        load: gives the model, once the flags and the songs are known to be valid.

    Returns:
        The record of each song, as of ``run_batch``.

    Raises:
        FileNotFoundError, ValueError: if flags, songs or weights are invalid.
    """
    arguments.out = expanded(arguments.out)
    with _output(arguments) as results:
        inputs = _read_inputs(arguments)
        delivery, passes = read_delivery(arguments), read_passes(arguments)
        songs = find_songs(inputs, arguments.out)
        _check_pattern(songs, delivery)
        if not any(song.path.exists() for song in songs):  # before weights are downloaded
            raise FileNotFoundError(f"there is no file {songs[0].path}: check the path")
        flags = loading.options_from_flags((*paper.options, *paper.separate_options), arguments)
        loaded = load(flags, passes)
        check_sums(delivery.aggregates, delivery.written(loaded.model.stems), delivery.stems)
        device = pick_device(arguments.device)
        if device.type == "cpu":
            keep_freed_memory()
        if passes.compiled:
            console.say("compiling: the first chunk may take minutes")
        run = Run(
            model=with_passes(loaded.model, passes, device),
            out=arguments.out,
            inference=loading.inference_from_flags(loaded.first.recipe.inference, arguments),
            delivery=delivery,
            part_seconds=(arguments.start, arguments.duration),
            longest_seconds=math.inf if arguments.chunk_seconds == 0 else LONGEST_SECONDS,
            batch=arguments.batch,
            quiet=arguments.quiet,
            count=len(songs),
        )
        with deterministic(device):
            return run_batch(
                songs,
                arguments.out,
                {**describe(paper, loaded, flags, passes), **run.describe()},
                run,
                overwrite=arguments.overwrite,
                report=lambda record: _report(record, arguments, results),
            )


class Run:
    """How every song of a batch is separated.

    When memory runs out, chunks are halved for this song and those that follow.
    """

    def __init__(
        self,
        model: BackOff,
        out: Path,
        inference: InferenceConfig,
        delivery: Delivery,
        part_seconds: tuple[float, float | None],
        longest_seconds: float,
        batch: int,
        quiet: bool,
        count: int,
    ) -> None:
        self.model, self.out, self.inference, self.delivery = model, out, inference, delivery
        self.wanted, self.part_seconds, self.batch = inference, part_seconds, batch
        self.longest_seconds = longest_seconds
        self.quiet, self.count, self.started = quiet, count, 0

    def describe(self) -> dict[str, Any]:
        """The settings of a run that change the files written."""
        return {
            "inference": asdict(self.wanted),
            "delivery": asdict(self.delivery),
            "part_seconds": self.part_seconds,
            "longest_seconds": self.longest_seconds if self.longest_seconds < math.inf else None,
        }

    def __call__(self, song: SongFile, guard: Guard) -> Separated:
        """Separate one song.

        Raises:
            ValueError, OSError: if the song can't be read, separated or written.
        """
        self.started += 1
        seconds = _seconds(song.path, self.part_seconds)
        title = song.path.name
        if self.count > 1:
            title = f"{self.started}/{self.count} {title}"
        notes: list[str] = []
        while True:
            try:
                with self._progress(title, seconds) as progress:
                    done = separate_file(
                        self.model,
                        song.path,
                        self.out / song.folder,
                        self.inference,
                        self.delivery,
                        part_seconds=self.part_seconds,
                        longest_seconds=self.longest_seconds,
                        batch=self.batch,
                        progress=progress,
                        guard=guard,
                    )
                return replace(done, notes=(*notes, *done.notes))
            except OutOfMemory as error:
                self.inference = halve_chunks(self.inference, seconds, error)
                notes.append(
                    f"out of memory: chunks of {self.inference.chunk_seconds:.2f} s instead"
                )

    @contextlib.contextmanager
    def _progress(self, title: str, seconds: float | None) -> Iterator[console.Report | None]:
        if self.quiet:
            yield None
            return
        with console.progress(title) as report:
            yield _with_speed(report, seconds)


def read_delivery(arguments: argparse.Namespace) -> Delivery:
    """What to write, from the flags.

    Raises:
        ValueError: if they contradict each other.
    """
    sums, sums_only = read_sums(arguments.aggregate or (), arguments.accompaniment)
    stems = None if arguments.stems is None else tuple(arguments.stems)
    return Delivery(
        container=arguments.format,
        subtype=arguments.subtype,
        stems=() if sums_only and stems is None else stems,
        aggregates=sums,
        lossless=arguments.lossless,
        filename=arguments.filename,
    )


def read_passes(arguments: argparse.Namespace) -> Passes:
    """Test-time augmentation, ensemble and precision, from the flags."""
    mirrors = {None: (), "both": MIRRORS}.get(arguments.tta, (arguments.tta,))
    return Passes(
        mirrors, arguments.shifts, arguments.ensemble, arguments.precision, arguments.compile
    )


def describe(
    paper: AnyPaper, loaded: Loaded, flags: dict[str, Any], passes: Passes
) -> dict[str, Any]:
    """The settings of model and passes that change the files written."""
    return {
        "format": FORMAT,
        "paper": paper.name,
        "weights": loaded.digests,
        "options": flags,
        "passes": asdict(replace(passes, compiled=False)),
    }


def _read_inputs(arguments: argparse.Namespace) -> list[str]:
    """The inputs from the command line, from stdin and from lists."""
    words: list[str] = []
    for word in arguments.inputs:
        words += read_listed("-") if word == "-" else [word]
    for name, ends_with_nul in ((arguments.list, False), (arguments.list0, True)):
        if name is not None:
            words += read_listed(str(expanded(Path(name))), ends_with_nul=ends_with_nul)
    if not words:
        raise ValueError("no inputs: name audio files or folders before the flags")
    return words


def _check_pattern(songs: Sequence[SongFile], delivery: Delivery) -> None:
    """Raise ValueError if two songs would be written to the same files."""
    accepted = [song for song in songs if song.refusal is None]
    paths = {
        (song.folder, delivery.filename.format(song=Path(song.name).name, stem=""))
        for song in accepted
    }
    if len(paths) < len(accepted):
        raise ValueError(
            f"--filename {delivery.filename} gives files of {len(accepted)} songs the same name: "
            f"add {{song}} to it"
        )


@contextlib.contextmanager
def _output(arguments: argparse.Namespace) -> Iterator[TextIO]:
    """Where results go: ``--json`` keeps stdout for them, ``--quiet`` silences everything else.

    Songs are separated even if stdout can't be written.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(console.work_before_output())
        results = stack.enter_context(console.json_alone(arguments.json))
        if arguments.quiet:
            null = open(os.devnull, "w", encoding="utf-8", errors="backslashreplace")
            devnull = stack.enter_context(null)
            stack.enter_context(contextlib.redirect_stdout(devnull))
        yield results


def _report(record: Record, arguments: argparse.Namespace, results: TextIO) -> None:
    if arguments.json:
        print(json.dumps(record), file=results, flush=True)  # ASCII, which every locale writes
        return
    console.say(f"{printable(record['song'])}: {_describe(record, arguments.out)}")
    if record["state"] == "done":
        for note in record["notes"]:
            console.say(f"  {note}")


def _describe(record: Record, out: Path) -> str:
    if record["state"] == "failed":
        return "failed"
    if record["state"] == "elsewhere":
        return f"left to {record['holder']} ({record['lock']})"
    folders = {str((out / output["path"]).parent) for output in record["outputs"].values()}
    where = f"{len(record['outputs'])} files in {printable(', '.join(sorted(folders)))}"
    if record["state"] == "skipped":
        return f"already finished, {where}"
    if record["sum_is_exact"]:
        where += "; they add up to the song, sample for sample"
    elif record["null_depth_dbfs"] is not None:
        where += f"; song minus their sum peaks at {record['null_depth_dbfs']:.1f} dBFS"
    return where


def _end(paper: AnyPaper, records: list[Record]) -> None:
    """Exit with 1 if a song failed for a fault of ours, with 2 if only for the user's mistakes.

    Songs left to another process count as failed if that process may be dead.
    """
    try:
        check_records(records)
    except RuntimeError as error:
        console.say_error(paper.command, str(error))
        raise SystemExit(1) from None


def check_records(records: Sequence[Record]) -> None:
    """Raise ValueError if songs failed by the user's mistakes alone, else RuntimeError."""
    failed = [record for record in records if "error" in record]
    if not failed:
        return
    message = "; ".join(record["error"] for record in failed)
    if len(records) > 1:
        message = f"{len(failed)} of {len(records)} songs failed: {message}"
    if all(record["cause"] == "user" for record in failed):
        raise ValueError(message)
    raise RuntimeError(message)


def _seconds(path: Path, part_seconds: tuple[float, float | None]) -> float | None:
    """How much of a file is separated; None if its header cannot be read."""
    try:
        left = audio.info(path).seconds - part_seconds[0]
    except (ValueError, OSError, ImportError):
        return None  # separating it raises the error to show
    return max(0.0, left if part_seconds[1] is None else min(left, part_seconds[1]))


def halve_chunks(
    inference: InferenceConfig, seconds: float | None, error: OutOfMemory
) -> InferenceConfig:
    """Chunks of half the length; raises the error if they would be too short to be useful."""
    current = inference.chunk_seconds or seconds or 0.0
    least = max(LEAST_SECONDS, 4 * inference.context_seconds)
    if current / 2 < least:
        raise error
    return replace(inference, chunk_seconds=current / 2)


def _with_speed(report: console.Report, seconds: float | None) -> console.Report:
    """A report that adds the real-time factor: seconds of work per second of audio."""
    began = time.monotonic()

    def reported(what: str, done: int, total: int) -> None:
        spent = time.monotonic() - began
        if seconds and done:
            left = spent / done * (total - done)
            what = f"{what} {spent / (seconds * done / total):.2f} x real time, {left:.0f} s left"
        report(what.strip(), done, total)

    return reported
