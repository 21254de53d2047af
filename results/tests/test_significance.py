import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mss_results.significance import friedman, holm, smallest_p, wilcoxon

stats = pytest.importorskip("scipy.stats", reason="scipy is the oracle here, and not installed")


def p_of(differences):
    return wilcoxon(np.array([differences], dtype=float))[0][0]


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2 / 64),  # one sign pattern of 64, and its mirror
        ([-1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 4 / 64),  # rank sums 0 and 1 below
        ([1.0, -1.0, 2.0], 6 / 8),  # ranks 1.5, 1.5, 3: sums 0, 1.5, 1.5 below
        ([0.0, 0.0, 1.0, 2.0], 2 / 4),  # zeros are left out
        ([0.0, 0.0], 1.0),
        ([], 1.0),
        ([5.0], 1.0),
        ([math.nan, 1.0, math.nan, 2.0], 2 / 4),  # tracks without a score as well
    ],
)
def test_small_samples_have_the_p_counted_by_hand(differences, p):
    assert p_of(differences) == pytest.approx(p, abs=1e-12)


@pytest.mark.parametrize("count", [5, 20, 50])
def test_p_without_ties_is_scipys_exact_one(count):
    random = np.random.RandomState(count)
    for shift in (0.0, 0.2, 0.5):
        differences = random.normal(shift, 1, count)
        expected = stats.wilcoxon(differences, method="exact").pvalue
        assert p_of(differences) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=30)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=8))
def test_p_with_ties_is_that_of_all_sign_patterns(values):
    differences = np.array([value for value in values if value], dtype=float)
    if len(differences):
        ranks = stats.rankdata(np.abs(differences))
        plus = ranks[differences > 0].sum()
        patterns = np.array(np.meshgrid(*[[0, 1]] * len(ranks))).reshape(len(ranks), -1)
        sums = ranks @ patterns
        expected = min(1.0, 2 * min((sums <= plus).mean(), (sums >= plus).mean()))
        assert p_of(values) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("step", [0.001, 0.5])
def test_beyond_fifty_tracks_p_is_scipys_normal_approximation_with_ties(step):
    differences = np.round(np.random.RandomState(1).normal(0.2, 1, 120) / step) * step
    expected = stats.wilcoxon(differences, method="approx", correction=False).pvalue
    assert p_of(differences) == pytest.approx(expected, rel=1e-9)


def test_pairs_tested_together_have_the_p_they_have_alone():
    gaps = np.round(np.random.RandomState(2).normal(0.3, 1, (40, 12)), 1)
    gaps[np.random.RandomState(3).uniform(size=gaps.shape) < 0.2] = math.nan
    ps, lead = wilcoxon(gaps)
    for gap, p, ahead in zip(gaps, ps, lead, strict=True):
        present = gap[~np.isnan(gap) & (gap != 0)]
        ranks = stats.rankdata(np.abs(present))
        assert p == p_of(present)
        assert ahead == 2 * (ranks[present > 0].sum() - ranks[present < 0].sum())


def test_rounding_of_sums_is_no_difference():
    ps, lead = wilcoxon(np.array([[0.1 + 0.2 - 0.3] * 9]))
    assert (ps[0], lead[0]) == (1.0, 0)


def test_no_pairs_and_no_tracks_have_no_differences():
    assert wilcoxon(np.empty((0, 5)))[0].shape == (0,)
    assert wilcoxon(np.empty((2, 0)))[0].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("tracks", [1, 2, 6, 10])
def test_no_row_has_a_p_below_that_of_winning_on_every_track(tracks):
    assert p_of(np.arange(1.0, tracks + 1)) == pytest.approx(smallest_p(tracks))
    assert smallest_p(6) == 2 / 64


@pytest.mark.parametrize(("rows", "tracks", "step"), [(3, 6, 0), (10, 6, 1.0), (20, 50, 0.5)])
def test_friedmans_p_is_scipys_with_and_without_ties(rows, tracks, step):
    values = np.random.RandomState(rows).normal(0, 1, (rows, tracks))
    values[0] += 0.5
    values = np.round(values / step) * step if step else values
    expected = stats.friedmanchisquare(*values).pvalue
    assert friedman(values) == pytest.approx(expected, rel=1e-9)
    holes = np.hstack([values, np.full((rows, 1), math.nan)])
    holes[0, -1] = 99.0
    assert friedman(holes) == pytest.approx(expected, rel=1e-9)


def test_friedmans_p_by_hand():
    # Three rows in the same order on each of four tracks: chi-square 8 of 2 degrees, exp(-4).
    assert friedman(np.array([[3.0] * 4, [2.0] * 4, [1.0] * 4])) == pytest.approx(math.exp(-4))
    assert friedman(np.ones((4, 5))) == 1.0
    assert friedman(np.ones((2, 5))) is None
    assert friedman(np.ones((5, 1))) is None


def test_holm_multiplies_by_the_hypotheses_left_and_never_falls():
    # 3 x 0.01, 2 x 0.02 -> 0.04, 1 x 0.03 -> raised to 0.04
    assert holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
