"""BSSEval's filters: the least-squares fit of delayed references, from their correlations."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import scipy.linalg
from numpy.lib.stride_tricks import sliding_window_view
from scipy.linalg import lapack

from mss_shared.metrics.bsseval_signals import CHUNK, Array, Scenario, Signals, excerpt

# The constant that museval adds to the diagonal.
DIAGONAL = float(np.finfo(np.float64).eps)


def equal_channels(
    references: Signals, scenario: Scenario, bounds: tuple[int, int]
) -> list[tuple[int, int]]:
    """Pairs a < b of lanes, that is (stem, channel), that are equal, or opposite, everywhere."""
    lanes = len(scenario.groups) * references.shape[1]
    alike = {pair: True for pair in combinations(range(lanes), 2)}
    opposite = dict(alike)
    for start in range(bounds[0], bounds[1], CHUNK):
        stop = min(start + CHUNK, bounds[1])
        chunk = scenario.mix(excerpt(references, start, stop, bounds)).reshape(lanes, -1)
        for a, b in alike:
            alike[a, b] &= np.array_equal(chunk[a], chunk[b])
            opposite[a, b] &= np.array_equal(chunk[a], -chunk[b])
        if not any(alike.values()) and not any(opposite.values()):
            break
    return [pair for pair in alike if alike[pair] or opposite[pair]]


def independent(lanes: Sequence[int], equal: Sequence[tuple[int, int]]) -> list[int]:
    """The lanes that do not repeat an earlier one; they span the same signals as all lanes."""
    repeated = {b for a, b in equal if a in lanes}
    return [lane for lane in lanes if lane not in repeated]


def projection_filters(auto: Array, cross: Array, lanes: Sequence[int]) -> Array:
    """Filters that project each estimate onto the delayed references of the chosen lanes.

    Args:
        auto: (lane, lane, lag) correlations of the references.
        cross: (lane, estimate lane, lag) correlations with the estimates.
        lanes: the reference lanes to use.

    Returns:
        (estimate lane, lane, tap); zero for lanes that are not used.
    """
    count, taps = len(lanes), auto.shape[-1]
    filters = np.zeros((cross.shape[1], len(auto), taps))
    if not lanes:
        return filters
    right = cross[list(lanes)].swapaxes(0, 1).reshape(-1, count * taps).T
    solution = _solve(auto, lanes, np.asfortranarray(right))
    filters[:, list(lanes)] = solution.T.reshape(-1, count, taps)
    return filters


def gram(auto: Array, lanes: Sequence[int]) -> Array:
    """Lower triangle of the Gram matrix of delayed references, a Toeplitz block per lane pair."""
    taps = auto.shape[-1]
    matrix = np.zeros((len(lanes) * taps, len(lanes) * taps), order="F")
    for row, a in enumerate(lanes):
        for column, b in enumerate(lanes[: row + 1]):
            # Delay k of a and delay l of b correlate at lag k - l, from 1 - taps to taps - 1.
            lags = np.concatenate([auto[b, a, :0:-1], auto[a, b]])
            block = sliding_window_view(lags, taps)[:, ::-1]
            rows = slice(row * taps, (row + 1) * taps)
            matrix[rows, column * taps : (column + 1) * taps] = block
    matrix.flat[:: len(matrix) + 1] += DIAGONAL
    return matrix


def _solve(auto: Array, lanes: Sequence[int], right: Array) -> Array:
    """Solve the normal equations, even if they are singular."""
    factor, failed = lapack.dpotrf(gram(auto, lanes), lower=1, clean=0, overwrite_a=1)
    if not failed:
        solution: Array = lapack.dpotrs(factor, right, lower=1)[0]
        return solution
    # References depend on each other, so rounding made a pivot negative. A factorisation for
    # indefinite matrices still works, and its projections are as accurate.
    work = int(lapack.dsytrf_lwork(len(right), lower=1)[0])  # the default is 7 times slower
    factor, pivots, failed = lapack.dsytrf(gram(auto, lanes), lower=1, lwork=work, overwrite_a=1)
    if not failed:
        solution = lapack.dsytrs(factor, pivots, right, lower=1)[0]
        return solution
    lower = np.tril(gram(auto, lanes))
    full = lower + np.tril(lower, -1).T
    solution = scipy.linalg.lstsq(full, right)[0]
    return solution
