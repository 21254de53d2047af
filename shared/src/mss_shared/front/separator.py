"""A model with its weights and its recipe's settings, which separates arrays and files."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mss_shared.audio.arrays import read_array
from mss_shared.checkpoints.assemble import Loaded, with_passes
from mss_shared.cli import separate as verb
from mss_shared.cli.loading import inference_from_flags
from mss_shared.console import Report
from mss_shared.front.results import SeparatedSong
from mss_shared.front.words import PathLike, flag_words, input_words, parse, python_errors
from mss_shared.paper import AnyPaper
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.device import OutOfMemory, deterministic, pick_device
from mss_shared.separation.output.options import Delivery
from mss_shared.separation.separate import LONGEST_SECONDS, iterate_song, separate_song

RecipeType = TypeVar("RecipeType")
Stem = NDArray[np.float32]


class LoadedSeparator(Generic[RecipeType]):
    """A model that separates songs as the command ``separate`` does, with its recipe's settings.

    Attributes:
        model: the plain torch module, (batch, channel, sample) -> (batch, stem, channel, sample),
            in evaluation mode on its device.
        recipe: the typed recipe that says how songs are cut.
        notes: how the weights were read, a line each.
    """

    def __init__(
        self, paper: AnyPaper, loaded: Loaded, words: Sequence[str], notes: tuple[str, ...]
    ) -> None:
        """Put a model on its device.

        Args:
            paper: its package.
            loaded: the model.
            words: the flags of ``separate`` with which it was loaded.
            notes: how the weights were read.

        Raises:
            ValueError: if there is no such device.
        """
        self._paper, self._loaded, self._words = paper, loaded, list(words)
        arguments = parse(paper, ["separate", *words])
        self._device = pick_device(arguments.device)
        self._run = with_passes(loaded.model, verb.read_passes(arguments), self._device)
        self.model: nn.Module = loaded.model
        self.recipe: RecipeType = loaded.first.recipe
        self.notes = notes

    def __repr__(self) -> str:
        """The package, what is separated into what, and where."""
        return (
            f"<{self._paper.name} separator: {', '.join(self.stems)}; "
            f"{self.sample_rate} Hz, on {self.device}>"
        )

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self._device

    @property
    def stems(self) -> tuple[str, ...]:
        """The names of the stems, in the model's order."""
        return tuple(self._run.stems)

    @property
    def sample_rate(self) -> int:
        """The model's rate in Hz; songs of any other are resampled, and their stems back."""
        return int(self._run.sample_rate)

    @property
    def channels(self) -> int:
        """How many channels the model takes at once; songs may have any number."""
        return int(self._run.channels)

    @overload
    def separate(
        self,
        song: Tensor,
        sample_rate: int | None = None,
        *,
        lossless: bool | str = False,
        chunk_seconds: float | None = None,
        overlap: float | None = None,
        context_seconds: float | None = None,
        batch: int = 1,
        progress: Report | None = None,
    ) -> dict[str, Tensor]: ...

    @overload
    def separate(
        self,
        song: PathLike | NDArray[Any],
        sample_rate: int | None = None,
        *,
        lossless: bool | str = False,
        chunk_seconds: float | None = None,
        overlap: float | None = None,
        context_seconds: float | None = None,
        batch: int = 1,
        progress: Report | None = None,
    ) -> dict[str, Stem]: ...

    def separate(
        self,
        song: PathLike | NDArray[Any] | Tensor,
        sample_rate: int | None = None,
        *,
        lossless: bool | str = False,
        chunk_seconds: float | None = None,
        overlap: float | None = None,
        context_seconds: float | None = None,
        batch: int = 1,
        progress: Report | None = None,
    ) -> dict[str, Any]:
        """Separate a song in memory.

        When memory runs out, chunks are halved, as on the command line.

        Args:
            song: (channel, sample) audio with full scale 1.0, int16 or int32 at theirs, as a numpy
                array or a torch tensor; or the path of a sound file.
            sample_rate: of an array, in Hz; the model's if None. A file has its own.
            lossless: True or ``mask``, or ``rerun``: the stems add up to the song up to float32
                rounding; a single stem is then followed by ``residual``.
            chunk_seconds, overlap, context_seconds: how the song is cut; None for the recipe's.
            batch: chunks per call of the model.
            progress: called with ('', chunks done, chunks in total).

        Returns:
            Stem -> (channel, sample) float32 at the song's rate and length: tensors on the song's
            device if it is one, numpy arrays otherwise.

        Raises:
            FileNotFoundError, ValueError: if the song can't be read, has other axes or NaN.
        """
        flags = _chunk_words(self._paper, chunk_seconds, overlap, context_seconds, batch)
        with python_errors():
            source, rate = self._source(song, sample_rate)
            inference, how = self._settings(flags, lossless)
            seconds = None if isinstance(source, Path) else source.shape[-1] / rate
            while True:
                try:
                    with deterministic(self._device):
                        stems = separate_song(
                            source,
                            self._run,
                            inference,
                            sample_rate=rate,
                            progress=progress,
                            **how,
                        )
                    break
                except OutOfMemory as error:
                    inference = verb.halve_chunks(inference, seconds, error)
        named = zip(self._names(lossless), stems, strict=True)
        if isinstance(song, Tensor):
            return {stem: torch.from_numpy(values).to(song.device) for stem, values in named}
        return dict(named)

    def stream(
        self,
        song: PathLike | NDArray[Any] | Tensor,
        sample_rate: int | None = None,
        *,
        lossless: bool | str = False,
        chunk_seconds: float | None = None,
        overlap: float | None = None,
        context_seconds: float | None = None,
        batch: int = 1,
    ) -> Iterator[dict[str, Stem]]:
        """As ``separate``, but yield stem -> (channel, sample) numpy blocks, as they finish.

        Memory does not grow with the song's length, and the blocks of a stem are the samples of
        ``separate``, in order.

        Raises:
            FileNotFoundError, ValueError: as ``separate``.
        """
        flags = _chunk_words(self._paper, chunk_seconds, overlap, context_seconds, batch)
        with python_errors():
            source, rate = self._source(song, sample_rate)
            inference, how = self._settings(flags, lossless)
            blocks = iterate_song(source, self._run, inference, sample_rate=rate, **how)
            while True:
                with deterministic(self._device):  # not while the caller is at work
                    block = next(blocks, None)
                if block is None:
                    return
                yield dict(zip(self._names(lossless), block, strict=True))

    def separate_files(
        self,
        songs: PathLike | Sequence[PathLike],
        out: PathLike,
        *,
        lossless: bool | str = False,
        stems: Sequence[str] | None = None,
        accompaniment: bool = False,
        aggregate: Mapping[str, str] | None = None,
        format: str = "same",
        subtype: str | None = None,
        filename: str | None = None,
        start: float = 0.0,
        duration: float | None = None,
        chunk_seconds: float | None = None,
        overlap: float | None = None,
        context_seconds: float | None = None,
        batch: int = 1,
        overwrite: bool = False,
        quiet: bool = True,
    ) -> list[SeparatedSong]:
        """Separate files into stem files: the command ``separate``, whose flags the options are.

        Songs that were finished earlier with the same settings are skipped, and one bad file does
        not stop the others.

        Args:
            songs: files, folders and patterns.
            out: the output folder.
            lossless: True or ``mask``, or ``rerun``: the files add up to the song exactly.
            stems: the stems to write; None for all.
            accompaniment: also write the song without vocals.
            aggregate: further files by name, each a sum: ``{"karaoke": "mixture-vocals"}``.
            format: of the files: ``same``, ``wav``, ``flac``, ``mp3`` or ``mp4``.
            subtype: of their samples: ``PCM_16``, ``PCM_24`` or ``FLOAT``; None for the song's.
            filename: path below ``out`` with ``{song}`` and ``{stem}``; None for the paper's.
            start, duration: of the part to separate, in seconds.
            chunk_seconds, overlap, context_seconds, batch: as in ``separate``.
            overwrite: separate finished songs again.
            quiet: whether to show no progress and print nothing.

        Raises:
            FileNotFoundError, ValueError: if options or songs are invalid, after all other songs.
            RuntimeError: if a song failed by a fault of the program.
        """
        sums = [f"{name}={formula}" for name, formula in (aggregate or {}).items()]
        options = {
            **{"out": os.fspath(out), "lossless": lossless, "stems": stems, "format": format},
            **{"accompaniment": accompaniment, "subtype": subtype, "filename": filename},
            **{"start": start, "duration": duration, "overwrite": overwrite, "quiet": quiet},
        }
        with python_errors():
            words = ["separate", *input_words(songs), *self._words]
            words += flag_words(self._paper, "separate", options)
            words += [f"--aggregate={each}" for each in sums]
            words += _chunk_words(self._paper, chunk_seconds, overlap, context_seconds, batch)
            arguments = parse(self._paper, words)
            records = verb.separate_songs(self._paper, arguments, lambda *_: self._loaded)
            verb.check_records(records)
        return [_describe(record, Path(arguments.out)) for record in records]

    def _source(
        self, song: Any, sample_rate: int | None
    ) -> tuple[Path | NDArray[np.floating], int]:
        """A path, or the song's samples, and the rate."""
        if isinstance(song, str | os.PathLike):
            if sample_rate is not None:
                raise ValueError(
                    f"{song} is a file, which has its own rate: leave out sample_rate={sample_rate}"
                )
            path = Path(song).expanduser()
            if path.is_dir():
                raise ValueError(f"{song} is a folder: separate the songs in it by separate_files")
            return path, self.sample_rate
        rate = self.sample_rate if sample_rate is None else sample_rate
        if isinstance(rate, bool) or int(rate) != rate or rate < 1:
            raise ValueError(f"sample_rate is {rate!r}: pass a positive whole number of Hz")
        return read_array(song), int(rate)

    def _settings(
        self, words: Sequence[str], lossless: bool | str
    ) -> tuple[InferenceConfig, dict[str, Any]]:
        """How songs are cut, and further arguments of ``separate_song``."""
        arguments = parse(self._paper, ["separate", *self._words, *words])
        inference = inference_from_flags(self._loaded.first.recipe.inference, arguments)
        return inference, {
            "batch": arguments.batch,
            "lossless": _as_word(lossless),
            "longest_seconds": math.inf if arguments.chunk_seconds == 0 else LONGEST_SECONDS,
        }

    def _names(self, lossless: bool | str) -> tuple[str, ...]:
        return replace(Delivery(), lossless=_as_word(lossless)).written(self.stems)


def _as_word(lossless: bool | str) -> str | None:
    return "mask" if lossless is True else lossless or None


def _chunk_words(
    paper: AnyPaper,
    chunk_seconds: float | None,
    overlap: float | None,
    context_seconds: float | None,
    batch: int,
) -> list[str]:
    flags = {"chunk_seconds": chunk_seconds, "overlap": overlap}
    flags |= {"context_seconds": context_seconds, "batch": batch}
    return flag_words(paper, "separate", flags)


def _describe(record: Mapping[str, Any], out: Path) -> SeparatedSong:
    outputs = record.get("outputs", {})
    return SeparatedSong(
        record["song"],
        record["state"],
        {name: out / output["path"] for name, output in outputs.items()},
        record.get("sum_is_exact"),
        record.get("null_depth_dbfs"),
        tuple(record.get("notes", ())),
    )
