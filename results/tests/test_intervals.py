import math

import numpy as np
import pytest

from mss_results.bootstrap import resample
from mss_results.intervals import interval, tracks_error

NAN = math.nan
SIX = [1.25, 5.5, 2.75, 8.125, 3.0, 9.5]


def of(values, how):
    scored = [value for value in values if not math.isnan(value)]
    value = getattr(np, how)(scored) if scored else NAN
    return interval(float(value), resample(values, how), len(scored))


def test_the_interval_of_a_mean_is_students():
    # 2.5706 is the quantile of five degrees of freedom; 4,000 resamples are within a few percent.
    half = 2.5706 * np.std(SIX, ddof=1) / math.sqrt(6)
    low, high = of(SIX, "mean")
    assert (low + high) / 2 == pytest.approx(np.mean(SIX))
    assert (high - low) / 2 == pytest.approx(half, rel=0.03)


def test_the_interval_of_many_tracks_is_that_of_the_normal_law():
    values = np.random.RandomState(0).normal(6.0, 2.0, 400)
    half = 1.966 * values.std() / 20
    assert of(values, "mean") == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.02
    )
    # The median's standard error is sqrt(pi / 2) times that of the mean.
    low, high = of(values, "median")
    assert (high - low) / 2 == pytest.approx(half * math.sqrt(math.pi / 2), rel=0.2)


def test_a_committed_interval_comes_out_the_same_with_any_numpy():
    assert of([1.25, 5.5, 2.75, 8.125, 3.0, 9.5, -4.25], "mean") == pytest.approx(
        (-0.490975, 7.883832), abs=1e-6
    )


@pytest.mark.parametrize("values", [[], [3.0], [3.0, NAN], [NAN, NAN]])
def test_fewer_than_two_scored_tracks_have_no_interval(values):
    assert of(values, "median") is None


def test_equal_tracks_have_an_interval_without_width():
    assert of([NAN, 4.0, NAN, 4.0], "median") == (4.0, 4.0)


def test_several_seeds_add_their_variance_over_their_number():
    drawn = resample(SIX, "mean")
    value = float(np.mean(SIX))
    tracks = tracks_error(drawn, 6).size ** 2
    seeds = np.var([3.0, 5.0, 7.0], ddof=1) / 3
    low, high = interval(value, drawn, 6, [3.0, 5.0, 7.0])
    freedom = (tracks + seeds) ** 2 / (tracks**2 / 5 + seeds**2 / 2)
    assert 5 < freedom < 7
    # The quantile lies between those of five and of seven degrees of freedom.
    quantile = (high - low) / 2 / math.sqrt(tracks + seeds)
    assert 2.3646 < quantile < 2.5706
    assert interval(value, drawn, 6, [value] * 3) == pytest.approx(interval(value, drawn, 6))
