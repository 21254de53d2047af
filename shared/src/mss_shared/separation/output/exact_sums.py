"""Stems as integers on one grid, so that sums are exact whatever the sample format.

A grid is a power of two: sample value = integer / scale. A PCM format is the integers of its own
grid. A FLOAT or DOUBLE file holds the same integers as long as they, and their partial sums in
the order of the files, have at most 24 or 53 bits; adding such files up in that precision is then
free of rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Exact = NDArray[np.float64]

PCM_BITS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_FLOAT_BITS = {"FLOAT": 24, "DOUBLE": 53}

# The finest grid for floats: below it lie 53 bits of numbers up to 4.
_FINEST = 51


@dataclass(frozen=True)
class Grid:
    """Integers over ``2**exponent``."""

    exponent: int

    @property
    def scale(self) -> float:
        """The integer of the value 1.0."""
        return 2.0**self.exponent

    def round(self, values: Exact) -> Exact:
        """The nearest integers, as float64."""
        return np.rint(values * self.scale)


def limits(subtype: str) -> tuple[int, int]:
    """Least and greatest integer that a sample format holds exactly."""
    if subtype in PCM_BITS:
        full = 1 << (PCM_BITS[subtype] - 1)
        return -full, full - 1
    full = 1 << _FLOAT_BITS[subtype]
    return -full, full


def fits(integers: Integers, subtype: str) -> bool:
    """Whether a sample format holds (file, channel, sample) integers and their partial sums."""
    low, high = limits(subtype)
    held = [integers] if subtype in PCM_BITS else [integers, _partial_sums(integers)]
    return all(each.min(initial=0) >= low and each.max(initial=0) <= high for each in held)


def round_jointly(stems: Exact, mixture: Exact, grid: Grid) -> Integers:
    """Stems that nearly add up to the mixture as integers that do.

    The sum of the first stems is rounded for each number of them and the differences are taken:
    no stem moves by a whole step, and the last sum is the mixture's own integer.

    Args:
        stems: (stem, channel, sample).
        mixture: (channel, sample).
        grid: of the integers.

    Returns:
        (stem, channel, sample), the sum over stems of which is the mixture rounded to the grid.
    """
    sums = grid.round(_partial_sums(stems))
    sums[-1] = grid.round(mixture)
    sums[1:] -= sums[:-1].copy()
    return sums.astype(np.int64)


def _partial_sums(signals: NDArray[Any]) -> NDArray[Any]:
    """(file, channel, sample) sums of the first one, two, ...; faster than numpy's over axis 0."""
    sums = signals.copy()
    for number in range(1, len(sums)):
        sums[number] += sums[number - 1]
    return sums


def keep_within(integers: Integers, subtype: str) -> Integers:
    """Move what exceeds a sample format to the files with room, the sum unchanged.

    Args:
        integers: (file, channel, sample).
        subtype: the format.

    Returns:
        The same with every value within the format, if the sum is within as many times it.
    """
    low, high = limits(subtype)
    within = np.clip(integers, low, high)
    excess = (integers - within).sum(axis=0)
    for values in within:
        moved = np.clip(excess, low - values, high - values)
        values += moved
        excess = excess - moved
    return within


def grid_of_floats(blocks: Iterable[Exact]) -> tuple[Grid, float]:
    """The grid that every sample of a float song lies on, as far as 53 bits reach, and its peak.

    At least as fine as 24 bits, so that stems are no coarser than they would be in PCM_24.
    """
    finest, peak = 23, 0.0
    for block in blocks:
        values = np.abs(block[block != 0.0])
        if values.size:
            peak = max(peak, float(values.max()))
            finest = max(finest, _lowest_bit(values))
    headroom = max(0, math.ceil(math.log2(peak))) if peak > 1.0 else 0
    return Grid(min(finest, _FINEST - headroom)), peak


def _lowest_bit(values: Exact) -> int:
    """n for the finest 2**-n that one of the positive values is an odd multiple of."""
    mantissas, exponents = np.frexp(values)
    integers = (mantissas * 2.0**53).astype(np.int64)
    trailing = np.frexp((integers & -integers).astype(np.float64))[1] - 1
    return int((53 - trailing - exponents).max())
