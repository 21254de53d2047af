import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss_results.differences import hodges_lehmann
from mss_results.significance import LEVEL, wilcoxon


def test_the_estimate_is_the_median_of_all_means_of_two():
    # 1, 2, 6: means 1, 1.5, 2, 3.5, 4, 6.
    assert hodges_lehmann(np.array([6.0, 1.0, 2.0])) == (2.75, None)
    assert hodges_lehmann(np.array([3.0])) == (3.0, None)
    estimate, ends = hodges_lehmann(np.empty(0))
    assert math.isnan(estimate) and ends is None


def test_six_tracks_have_an_interval_from_the_lowest_to_the_highest_and_five_have_none():
    values = np.array([2.0, -1.0, 3.0, 5.0, 6.0, 4.0])
    assert hodges_lehmann(values)[1] == (-1.0, 6.0)  # 1 - 2/64 is above 95 %, 1 - 2/32 is not
    assert hodges_lehmann(values[:5])[1] is None


@pytest.mark.parametrize("count", [6, 7, 20, 50])
def test_the_interval_holds_the_shifts_that_the_test_keeps(count):
    values = np.random.RandomState(count).normal(0.5, 1, count)
    means = sorted((a + b) / 2 for a, b in itertools.combinations_with_replacement(values, 2))
    _, ends = hodges_lehmann(values)
    for low, high in itertools.pairwise(means):
        shift = (low + high) / 2
        kept = wilcoxon(values[None] - shift)[0][0] > LEVEL
        assert kept == (ends[0] < shift < ends[1])


def test_beyond_fifty_tracks_the_ends_are_those_of_the_normal_law():
    values = np.random.RandomState(0).normal(0, 1, 400)
    estimate, (low, high) = hodges_lehmann(values)
    # The estimate's standard error for normal differences: sqrt(pi / 3 / tracks).
    half = 1.96 * math.sqrt(math.pi / 3 / 400)
    assert (low - estimate, high - estimate) == pytest.approx((-half, half), rel=0.15)


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=30))
def test_swapping_the_rows_swaps_the_signs(values):
    gaps = np.array(values, dtype=float)
    estimate, ends = hodges_lehmann(gaps)
    mirrored, swapped = hodges_lehmann(-gaps)
    assert mirrored == -estimate
    assert swapped == (None if ends is None else (-ends[1], -ends[0]))
    if ends is not None:
        assert ends[0] <= estimate <= ends[1]
