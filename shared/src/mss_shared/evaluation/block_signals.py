"""Signals that are read in blocks, so that memory does not grow with a song."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from mss_shared.audio import Audio
from mss_shared.datasets import Track
from mss_shared.metrics.bsseval_signals import Signals

_FLOAT_BYTES = 4
_SPOOLS, _LOCK = "mss-evaluate-", "lock"


class Stems(Protocol):
    """Stems that can be read in any order."""

    def read_one(self, stem: int, start: int, stop: int) -> Audio:
        """(channel, stop - start) float32 of the stem of that number."""


@dataclass(frozen=True)
class BlockSignals:
    """(stem, channel, sample) float32; each is the sum of one or more stems.

    Attributes:
        source: what the stems are read from.
        groups: of each signal, the numbers of the stems in its sum.
        channels, length: of all; the length in samples.
    """

    source: Stems
    groups: tuple[tuple[int, ...], ...]
    channels: int
    length: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(stem, channel, sample)."""
        return len(self.groups), self.channels, self.length

    def read(self, start: int, stop: int) -> Audio:
        """(stem, channel, stop - start) float32.

        Raises:
            FileNotFoundError, ValueError: if a file can't be read or holds NaN or infinity.
        """
        return np.stack([self._sum(group, start, stop) for group in self.groups])

    def _sum(self, group: tuple[int, ...], start: int, stop: int) -> Audio:
        parts = [self.source.read_one(stem, start, stop) for stem in group]
        if len(parts) == 1:
            return parts[0]
        total: Audio = np.stack(parts).sum(axis=0)
        return total

    def sums(self, groups: Iterable[Sequence[int]]) -> BlockSignals:
        """Signals that are sums of these."""
        joined = tuple(tuple(n for g in group for n in self.groups[g]) for group in groups)
        return BlockSignals(self.source, joined, self.channels, self.length)


@dataclass(frozen=True)
class _TrackStems:
    track: Track
    stems: tuple[str, ...]

    def read_one(self, stem: int, start: int, stop: int) -> Audio:
        return self.track.read_stem(self.stems[stem], start, stop - start)


@dataclass(frozen=True)
class _Mixture:
    track: Track

    def read_one(self, stem: int, start: int, stop: int) -> Audio:
        return self.track.read_mixture(start, stop - start)


def stems_of(track: Track, stems: Sequence[str]) -> BlockSignals:
    """A track's stems, read from its files.

    Raises:
        ValueError: if it lacks one.
    """
    for stem in set(stems) - set(track.stems):
        track.read_stem(stem)  # says what is missing
    source = _TrackStems(track, tuple(stems))
    return BlockSignals(source, _each(len(stems)), track.info.channels, track.info.samples)


def mixture_of(track: Track) -> BlockSignals:
    """(1, channel, sample): a track's mixture, read from its files."""
    return BlockSignals(_Mixture(track), _each(1), track.info.channels, track.info.samples)


def _each(stems: int) -> tuple[tuple[int, ...], ...]:
    return tuple((stem,) for stem in range(stems))


@dataclass(frozen=True)
class _Spooled:
    """Stems in a file of float32, one channel of one stem after another."""

    path: Path
    channels: int
    length: int

    def place(self, stem: int, channel: int, sample: int) -> int:
        """Where a sample lies in the file, in bytes."""
        return ((stem * self.channels + channel) * self.length + sample) * _FLOAT_BYTES

    def read_one(self, stem: int, start: int, stop: int) -> Audio:
        out = np.empty((self.channels, stop - start), np.float32)
        with self.path.open("rb") as file:
            for channel in range(self.channels):
                file.seek(self.place(stem, channel, start))
                file.readinto(out[channel].data)
        return out


def spool(blocks: Iterable[Audio], stems: int, track: Track, path: Path) -> BlockSignals:
    """Write estimates to a file as they are made.

    Args:
        blocks: (stem, channel, sample) float32, in order, as long as the track.
        stems: how many there are.
        track: whose stems they estimate.
        path: of the file.

    Raises:
        ValueError: if they have another shape, or hold NaN or infinity.
        OSError: if the file can't be written.
    """
    channels, length = track.info.channels, track.info.samples
    store, done = _Spooled(path, channels, length), 0
    try:
        with path.open("wb") as file:
            for block in blocks:
                _check(track, block, done, (stems, channels, length))
                for stem, channel in np.ndindex(stems, channels):
                    file.seek(store.place(stem, channel, done))
                    file.write(np.ascontiguousarray(block[stem, channel], np.float32).data)
                done += block.shape[-1]
    except OSError as error:
        error.filename = error.filename or str(path.parent)  # a failing write does not say where
        raise
    if done != length:
        raise _other_shape(track, (stems, channels, done), (stems, channels, length))
    return BlockSignals(store, _each(stems), channels, length)


def _check(track: Track, block: Audio, done: int, expected: tuple[int, int, int]) -> None:
    """Raise ValueError unless a block at sample ``done`` is finite, and fits the track."""
    if block.ndim != 3 or block.shape[:2] != expected[:2] or done + block.shape[2] > expected[2]:
        raise _other_shape(track, (*block.shape[:-1], done + block.shape[-1]), expected)
    if not np.isfinite(block).all():
        stem, _, sample = np.argwhere(~np.isfinite(block))[0]
        raise ValueError(
            f"track {track.name}: the estimate of stem {stem} is NaN or infinite at sample "
            f"{done + sample}: the weights are broken, use others"
        )


def _other_shape(track: Track, found: tuple[int, ...], expected: tuple[int, ...]) -> ValueError:
    return ValueError(
        f"track {track.name}: the estimates are {found}, the references {expected}: both must be "
        f"(stem, channel, sample)"
    )


def discard(signals: Signals) -> None:
    """Remove the file of estimates that ``spool`` wrote."""
    assert isinstance(signals, BlockSignals) and isinstance(signals.source, _Spooled)
    signals.source.path.unlink()


@contextmanager
def spool_folder() -> Iterator[Path]:
    """A folder for estimates among the temporary files (``TMPDIR``), removed after the block.

    Those of processes that were killed are removed, too: their locks are free.
    """
    parent = Path(tempfile.gettempdir())
    for left in parent.glob(f"{_SPOOLS}*/{_LOCK}"):
        with suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left.parent)
    # It has the name by which it is found once it is locked.
    unlocked = Path(tempfile.mkdtemp(prefix="mss-new-"))
    folder = parent / f"{_SPOOLS}{unlocked.name.removeprefix('mss-new-')}"
    try:
        with (unlocked / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            unlocked.rename(folder)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
