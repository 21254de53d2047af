import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mss_results.significance import compare, holm, wilcoxon

stats = pytest.importorskip("scipy.stats", reason="scipy is the oracle here, and not installed")


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
    ],
)
def test_small_samples_have_the_p_counted_by_hand(differences, p):
    assert wilcoxon(differences) == pytest.approx(p, abs=1e-12)


@pytest.mark.parametrize("count", [5, 20, 50])
def test_p_without_ties_is_scipys_exact_one(count):
    random = np.random.RandomState(count)
    for shift in (0.0, 0.2, 0.5):
        differences = random.normal(shift, 1, count)
        expected = stats.wilcoxon(differences, method="exact").pvalue
        assert wilcoxon(differences) == pytest.approx(expected, rel=1e-9)


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
        assert wilcoxon(values) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("step", [0.001, 0.5])
def test_beyond_fifty_tracks_p_is_scipys_normal_approximation_with_ties(step):
    differences = np.round(np.random.RandomState(1).normal(0.2, 1, 120) / step) * step
    expected = stats.wilcoxon(differences, method="approx", correction=False).pvalue
    assert wilcoxon(differences) == pytest.approx(expected, rel=1e-9)


def test_the_comparison_takes_the_tracks_both_have():
    first = {"a": 2.0, "b": 5.0, "c": math.nan, "d": 9.0}
    second = {"a": 1.0, "b": 3.0, "c": 1.0, "e": 0.0}
    comparison = compare(first, second)
    assert (comparison.tracks, comparison.p) == (2, 0.5)
    assert comparison.first_is_better and not compare(second, first).first_is_better


def test_rounding_of_sums_is_no_difference():
    assert compare({"a": 0.1 + 0.2}, {"a": 0.3}).p == 1.0
    assert not compare({"a": 0.1 + 0.2}, {"a": 0.3}).first_is_better


def test_holm_multiplies_by_the_hypotheses_left_and_never_falls():
    # 3 x 0.01, 2 x 0.02 -> 0.04, 1 x 0.03 -> raised to 0.04
    assert holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
