"""Stem files as signals that are read in blocks, so that memory does not grow with a song."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from mss_shared import audio
from mss_shared.audio import Audio
from mss_shared.audio.kept_open import KeptOpen
from mss_shared.datasets.tracks import Sum


@dataclass(frozen=True)
class FileSignals:
    """(stem, channel, sample) float32; a stem is the sum of one or more files.

    Attributes:
        stems: the files of each stem with their factors, all with the same rate and channels.
        channels: their number.
        length: in samples; shorter files are padded with zeros, longer ones cut.
        kept: what opens the files; None to open them for each excerpt.
    """

    stems: tuple[Sum, ...]
    channels: int
    length: int
    kept: KeptOpen | None = field(default=None, compare=False, repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(stem, channel, sample)."""
        return len(self.stems), self.channels, self.length

    def read(self, start: int, stop: int) -> Audio:
        """(stem, channel, stop - start) float32.

        Raises:
            FileNotFoundError, ValueError: if a file can't be read or holds NaN or infinity.
        """
        read = audio.read if self.kept is None else self.kept.read
        out = np.empty((len(self.stems), self.channels, stop - start), np.float32)
        for signal, stem in zip(out, self.stems, strict=True):
            filled = 0
            for factor, path in stem.parts:
                count = min(stop, self._lengths[path]) - start
                if count > 0:
                    part = np.float32(factor) * read(path, start, count)
                    shared = min(filled, count)
                    signal[:, :shared] += part[:, :shared]
                    signal[:, shared:count] = part[:, shared:]
                    filled = max(filled, count)
            signal[:, filled:] = 0.0
        return out

    def through(self, kept: KeptOpen) -> FileSignals:
        """The same, whose files stay open."""
        return replace(self, kept=kept)

    @cached_property
    def _lengths(self) -> dict[Path, int]:
        if self.kept is not None:
            return {path: self.kept.samples(path) for path in self.files}
        return {path: audio.info(path).samples for path in self.files}

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of all stems, in order."""
        return tuple(path for stem in self.stems for _, path in stem.parts)

    def sums(self, groups: Iterable[Sequence[int]]) -> FileSignals:
        """Signals whose stems are sums of these stems."""
        parts = [tuple(part for n in group for part in self.stems[n].parts) for group in groups]
        return replace(self, stems=tuple(map(Sum, parts)))
