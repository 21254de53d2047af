"""Stems as integers on a common grid, so that the files add up to the song without rounding.

Stems that are rounded one by one add up to the mixture only to within a step or two. If all files
hold integer multiples of the same power of two, the grid step, adding them up is integer
arithmetic: exact, and the same in every sample format.

A PCM format is the integers of its own grid. A float holds an integer exactly up to the width of
its significand: 24 bits in FLOAT, 53 in DOUBLE. Whoever adds files up sample by sample also rounds
every intermediate result to that width. The sum is therefore free of rounding if not only the
integers but also their partial sums, in the order of the files, fit in 24 or 53 bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mss_shared.audio.formats import PCM_BITS

Integers = NDArray[np.int64]
Exact = NDArray[np.float64]

_SIGNIFICAND_BITS = {"FLOAT": 24, "DOUBLE": 53}

# At steps of 2**-51, the 53 bits of a double reach up to 4.0: stems and their partial sums may
# exceed full scale fourfold before they need a coarser grid.
_FINEST_EXPONENT = 51


@dataclass(frozen=True)
class Grid:
    """Multiples of the step ``2**-exponent``; samples are counted in steps, as integers."""

    exponent: int

    @property
    def scale(self) -> float:
        """The integer that stands for 1.0."""
        return 2.0**self.exponent

    def round(self, values: Exact) -> Exact:
        """The nearest integers, as float64."""
        # Scaling by a power of two is exact, so this is the only rounding.
        return np.rint(values * self.scale)


def integer_range(subtype: str) -> tuple[int, int]:
    """Least and greatest integer that a sample format holds exactly."""
    if subtype in PCM_BITS:
        full = 1 << (PCM_BITS[subtype] - 1)
        return -full, full - 1
    full = 1 << _SIGNIFICAND_BITS[subtype]
    return -full, full


def fits(integers: Integers, subtype: str) -> bool:
    """Whether a sample format holds (file, channel, sample) integers and their partial sums."""
    low, high = integer_range(subtype)
    # Readers of PCM add up in a wider type; readers of floats add up in the type of the file.
    held = [integers] if subtype in PCM_BITS else [integers, _partial_sums(integers)]
    return all(each.min(initial=0) >= low and each.max(initial=0) <= high for each in held)


def round_jointly(stems: Exact, mixture: Exact, grid: Grid) -> Integers:
    """Turn stems that nearly add up to the mixture into integers that do so exactly.

    Rounding errors of independently rounded stems would accumulate in the sum. Here the partial
    sums are rounded instead, and their differences taken: the differences telescope to the last
    partial sum, which is set to the mixture's own integer, and since each is the difference of two
    roundings, no stem moves by more than a step.

    Args:
        stems: (stem, channel, sample).
        mixture: (channel, sample).
        grid: of the integers.

    Returns:
        (stem, channel, sample), whose sum over stems is the mixture rounded to the grid.
    """
    sums = grid.round(_partial_sums(stems))
    sums[-1] = grid.round(mixture)
    sums[1:] -= sums[:-1].copy()
    return sums.astype(np.int64)


def _partial_sums(signals: NDArray[Any]) -> NDArray[Any]:
    """(file, channel, sample) cumulative sums over files; faster than numpy's cumsum on axis 0."""
    sums = signals.copy()
    for index in range(1, len(sums)):
        sums[index] += sums[index - 1]
    return sums


def keep_within(integers: Integers, subtype: str) -> Integers:
    """Clip to the range of a sample format, passing the excess on to files with headroom.

    The sum stays what it was, which clipping alone would change.

    Args:
        integers: (file, channel, sample).
        subtype: the format.

    Returns:
        Integers of the same sum, all in range unless the sum exceeds what the files hold together.
    """
    low, high = integer_range(subtype)
    within = np.clip(integers, low, high)
    excess = (integers - within).sum(axis=0)
    for values in within:
        moved = np.clip(excess, low - values, high - values)
        values += moved
        excess = excess - moved
    return within


def find_float_grid(blocks: Iterable[Exact]) -> tuple[Grid, float]:
    """The coarsest grid that holds every sample of a float song, and the song's peak.

    At least as fine as 24-bit PCM, so that a song of coarse samples does not coarsen its stems, and
    no finer than 53 bits allow at the song's peak.
    """
    finest, peak = 23, 0.0
    for block in blocks:
        values = np.abs(block[block != 0.0])
        if values.size:
            peak = max(peak, float(values.max()))
            finest = max(finest, _lowest_bit(values))
    headroom = max(0, math.ceil(math.log2(peak))) if peak > 1.0 else 0
    return Grid(min(finest, _FINEST_EXPONENT - headroom)), peak


def _lowest_bit(values: Exact) -> int:
    """The largest n for which some positive value has its lowest set bit at 2**-n."""
    mantissas, exponents = np.frexp(values)
    integers = (mantissas * 2.0**53).astype(np.int64)
    trailing_zeros = np.frexp((integers & -integers).astype(np.float64))[1] - 1
    return int((53 - trailing_zeros - exponents).max())
