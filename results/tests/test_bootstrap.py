import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss_results.bootstrap import RESAMPLES, resample

NAN = math.nan
decibels = st.floats(-200, 200)


def test_the_draws_are_those_of_the_frozen_stream():
    values = [1.0, 5.0, 2.0, 8.0, 3.0, 9.0]
    assert np.array_equal(resample(values, "median"), resample(values, "median"))
    # Frozen, since a committed interval must come out the same with any numpy.
    assert resample(values, "median")[:5].tolist() == [3.0, 5.0, 3.5, 2.0, 2.0]


def test_stems_are_drawn_together():
    values = np.array([1.0, 5.0, 2.0, 8.0])
    assert np.array_equal(resample(values, "median") + 3, resample(values + 3, "median"))


@pytest.mark.parametrize("how", ["median", "mean"])
def test_tracks_without_a_score_are_skipped_in_every_resample(how):
    some = resample([NAN, 4.0, NAN, 4.0], how)
    assert set(some[~np.isnan(some)]) == {4.0}
    lonely = resample([NAN, 4.0], how)
    # A quarter of the draws of two from two hit only the track without a score.
    assert np.isnan(lonely).sum() / RESAMPLES == pytest.approx(0.25, abs=0.03)


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
