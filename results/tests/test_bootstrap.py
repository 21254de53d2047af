import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss_results.bootstrap import RESAMPLES, interval, resample

NAN = math.nan
decibels = st.floats(-200, 200)


def test_the_interval_of_a_mean_is_that_of_the_normal_law_for_many_tracks():
    values = np.random.RandomState(0).normal(6.0, 2.0, 400)
    low, high = interval(resample(values, "mean"), 400)
    # 1.96 standard errors each way; 4,000 resamples place the ends within a few hundredths.
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)


def test_the_interval_of_a_median_lies_between_the_order_statistics_of_the_binomial_law():
    values = np.arange(101.0)
    low, high = interval(resample(values, "median"), 101)
    # Of 101 tracks the 95 % interval of the median reaches from about the 41st to the 61st.
    assert low == pytest.approx(40, abs=1) and high == pytest.approx(60, abs=1)


def test_the_draws_are_those_of_the_frozen_stream():
    values = [1.0, 5.0, 2.0, 8.0, 3.0, 9.0]
    assert np.array_equal(resample(values, "median"), resample(values, "median"))
    assert interval(resample(values, "median"), 6) == (1.5, 8.5)
    # Frozen, since a committed interval must come out the same with any numpy.
    uneven = [1.25, 5.5, 2.75, 8.125, 3.0, 9.5, -4.25]
    assert interval(resample(uneven, "mean"), 7) == pytest.approx((0.480804, 6.607589), abs=1e-6)


def test_stems_are_drawn_together():
    values = np.array([1.0, 5.0, 2.0, 8.0])
    assert np.array_equal(resample(values, "median") + 3, resample(values + 3, "median"))


@pytest.mark.parametrize("how", ["median", "mean"])
def test_tracks_without_a_score_are_skipped_in_every_resample(how):
    assert interval(resample([NAN, 4.0, NAN, 4.0], how), 2) == (4.0, 4.0)
    lonely = resample([NAN, 4.0], how)
    # A quarter of the draws of two from two hit only the track without a score.
    assert np.isnan(lonely).sum() / RESAMPLES == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("values", [[], [3.0], [3.0, NAN], [NAN, NAN]])
def test_fewer_than_two_scored_tracks_have_no_interval(values):
    scored = sum(not math.isnan(value) for value in values)
    assert interval(resample(values, "median"), scored) is None


@given(st.lists(st.one_of(decibels, st.just(NAN)), min_size=2, max_size=12))
def test_every_resample_is_the_aggregate_of_drawn_tracks(values):
    for how in ("median", "mean"):
        found = resample(values, how)
        present = [value for value in values if not math.isnan(value)]
        kept = found[~np.isnan(found)]
        if present:
            assert min(present) - 1e-9 <= kept.min() and kept.max() <= max(present) + 1e-9
        else:
            assert not len(kept)
