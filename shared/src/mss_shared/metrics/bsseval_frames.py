"""Energies of BSSEval's error components, frame by frame."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from mss_shared.metrics.bsseval_correlations import block_spectra, overlapping
from mss_shared.metrics.bsseval_signals import (
    CHUNK,
    Array,
    Scenario,
    Signals,
    audible,
    energy,
    excerpt,
    map_in_order,
)

BLOCK = 4096  # transforms are about this long: a frame is filled by complete blocks
BLOCKS_AT_ONCE = 12  # limits the memory for one piece of a long frame

Pair = tuple[int, int]  # index of the estimate, index of the reference it is scored against
Frames = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Task:
    """A scenario, and which of its estimates are scored against which of its references."""

    scenario: Scenario
    pairs: tuple[Pair, ...]

    @property
    def first(self) -> list[int]:
        """The estimate of each pair."""
        return [estimate for estimate, _ in self.pairs]

    @property
    def second(self) -> list[int]:
        """The reference of each pair."""
        return [reference for _, reference in self.pairs]


class Levels(NamedTuple):
    """What can be measured without filters.

    reference, error: (pair, frame) energy of the reference and of estimate minus reference.
    reference_audible, estimate_audible: (scored stem, frame).
    """

    reference: Array
    error: Array
    reference_audible: NDArray[np.bool_]
    estimate_audible: NDArray[np.bool_]


class Filters(NamedTuple):
    """Filters on the channels of the references.

    joint: (scored stem of the estimate, channel, input stem, channel, tap), from all references.
    own: (pair, channel, input stem, channel, tap), from the reference of the pair alone.
    """

    joint: Array
    own: Array


class Energies(NamedTuple):
    """(pair, frame) energies of projections and of differences.

    own, joint: the projections onto the pair's reference and onto all references.
    spatial: own - reference. interference: joint - own.
    artifacts: estimate - joint. residual: estimate - own.
    """

    own: Array
    joint: Array
    spatial: Array
    interference: Array
    artifacts: Array
    residual: Array


class Piece(NamedTuple):
    """Samples `start` up to `stop` of a frame, including the decay of the filters after it."""

    frame: int
    start: int
    stop: int


def pieces(frames: Frames, chosen: Sequence[int], size: int, decay: int) -> Iterator[Piece]:
    """Cut the chosen frames, each extended by `decay`, into pieces of at most `size` samples."""
    for frame in chosen:
        first, last = frames[frame]
        for start in range(first, last + decay, size):
            yield Piece(frame, start, min(start + size, last + decay))


def frame_levels(
    references: Signals, estimates: Signals, frames: Frames, tasks: Sequence[Task], workers: int
) -> list[Levels]:
    """Levels of every frame, one result per task."""
    totals = [_no_levels(task, len(frames)) for task in tasks]
    work = partial(_piece_levels, references, estimates, tasks)
    todo = list(pieces(frames, range(len(frames)), CHUNK, 0))
    for piece, levels in zip(todo, map_in_order(work, todo, workers), strict=True):
        for total, part in zip(totals, levels, strict=True):
            total.reference[:, piece.frame] += part.reference
            total.error[:, piece.frame] += part.error
            total.reference_audible[:, piece.frame] |= part.reference_audible
            total.estimate_audible[:, piece.frame] |= part.estimate_audible
    return totals


def _no_levels(task: Task, frames: int) -> Levels:
    pairs, stems = (len(task.pairs), frames), (len(task.scenario.groups), frames)
    return Levels(np.zeros(pairs), np.zeros(pairs), np.zeros(stems, bool), np.zeros(stems, bool))


def _piece_levels(
    references: Signals, estimates: Signals, tasks: Sequence[Task], piece: Piece
) -> list[Levels]:
    bounds = piece.start, piece.stop
    excerpts = [excerpt(signals, *bounds, bounds) for signals in (references, estimates)]
    levels = []
    for task in tasks:
        stems = [task.scenario.mix(signals) for signals in excerpts]
        heard = [audible(signals) for signals in stems]
        reference = [energy(stems[0][j]) for _, j in task.pairs]
        error = [energy(stems[1][i] - stems[0][j]) for i, j in task.pairs]
        levels.append(Levels(np.array(reference), np.array(error), *heard))
    return levels


class FilterBank:
    """The filters of all tasks as one matrix per bin, applied to blocks of the references."""

    def __init__(self, filters: Sequence[Filters], longest_frame: int) -> None:
        self.taps = filters[0].joint.shape[-1]
        self.channels, self.stems = filters[0].joint.shape[1:3]
        length = longest_frame + self.taps - 1
        blocks = max(1, round(length / max(BLOCK, 8 * self.taps)))
        size = -(-length // blocks) + self.taps - 1
        self.size: int = scipy.fft.next_fast_len(size, real=True)
        self.hop = self.size - self.taps + 1
        rows = np.concatenate([f.reshape(-1, *f.shape[-3:]) for pair in filters for f in pair])
        rows = np.moveaxis(rows.reshape(len(rows), -1, self.taps), -1, 0)
        self.spectra = scipy.fft.rfft(rows, n=self.size, axis=0)  # (bin, row, lane)
        self.counts = [(len(f.joint), len(f.own)) for f in filters]

    def project(self, references: Array) -> list[tuple[Array, Array]]:
        """(input stem, channel, sample) -> the joint and the own projections of each task.

        The first taps - 1 samples are history; the others fill complete blocks. Returns (scored
        stem or pair, channel, block, sample); a block is `hop` samples long.
        """
        lanes = references.reshape(self.stems * self.channels, -1)
        spectra = np.matmul(self.spectra, block_spectra(overlapping(lanes, self.size, self.hop)))
        waves = scipy.fft.irfft(np.moveaxis(spectra, 0, -1), self.size)[..., self.taps - 1 :]
        waves = waves.reshape(-1, self.channels, *waves.shape[1:])
        ends = np.cumsum([count for pair in self.counts for count in pair])
        parts = np.split(waves, ends[:-1])
        return list(zip(parts[::2], parts[1::2], strict=True))


def no_energies(task: Task, frames: int) -> Array:
    """(field of Energies, pair, frame) zeros."""
    return np.zeros((len(Energies._fields), len(task.pairs), frames))


def add_energies(
    totals: Sequence[Array],
    references: Signals,
    estimates: Signals,
    frames: Frames,
    chosen: Sequence[int],
    tasks: Sequence[Task],
    bank: FilterBank,
    workers: int,
) -> None:
    """Add the energies of the chosen frames to the totals of each task, shaped as `no_energies`."""
    todo = list(pieces(frames, chosen, bank.hop * BLOCKS_AT_ONCE, bank.taps - 1))
    work = partial(_piece_energies, references, estimates, frames, tasks, bank)
    for piece, energies in zip(todo, map_in_order(work, todo, workers), strict=True):
        for total, part in zip(totals, energies, strict=True):
            total[:, :, piece.frame] += part


def _piece_energies(
    references: Signals,
    estimates: Signals,
    frames: Frames,
    tasks: Sequence[Task],
    bank: FilterBank,
    piece: Piece,
) -> list[Array]:
    """(field of Energies, pair) for each task."""
    blocks = -(-(piece.stop - piece.start) // bank.hop)
    stop = piece.start + blocks * bank.hop
    bounds = frames[piece.frame]
    with_history = excerpt(references, piece.start - bank.taps + 1, stop, bounds)
    excerpts = with_history[..., bank.taps - 1 :], excerpt(estimates, piece.start, stop, bounds)
    blocked = [x.reshape(*x.shape[:2], blocks, bank.hop) for x in excerpts]
    results = []
    for task, (joint, own) in zip(tasks, bank.project(with_history), strict=True):
        mixed = [task.scenario.mix(signals) for signals in blocked]
        # Pair by pair, so that the operands of the subtractions stay in the cache.
        energies = [
            (
                energy(alone),
                energy(joint[i]),
                energy(alone - mixed[0][j]),
                energy(joint[i] - alone),
                energy(mixed[1][i] - joint[i]),
                energy(mixed[1][i] - alone),
            )
            for (i, j), alone in zip(task.pairs, own, strict=True)
        ]
        results.append(np.array(energies).reshape(-1, len(Energies._fields)).T)
    return results
