import math

import pytest

from mss_results.distributions import chi_square_tail, student_quantile, student_tail

stats = pytest.importorskip("scipy.stats", reason="scipy is the oracle here, and not installed")


@pytest.mark.parametrize("freedom", [0.7, 1, 2, 5, 49, 49.3, 3000])
@pytest.mark.parametrize("t", [0.0, 0.1, 1.0, 2.5, 10.0])
def test_the_tail_of_student_is_scipys(freedom, t):
    assert student_tail(t, freedom) == pytest.approx(stats.t.sf(t, freedom), rel=1e-8)


def test_student_has_the_tables_quantiles():
    # Two-sided 95 %, as printed in every textbook; one degree of freedom is Cauchy's law.
    assert student_quantile(0.95, 1) == pytest.approx(math.tan(math.pi * 0.475))
    assert student_quantile(0.95, 5) == pytest.approx(2.5706, abs=5e-5)
    assert student_quantile(0.95, 49) == pytest.approx(2.0096, abs=5e-5)
    assert student_quantile(0.95, 1e6) == pytest.approx(1.95996, abs=5e-5)


@pytest.mark.parametrize("freedom", [1, 2, 3, 9, 10, 30])
@pytest.mark.parametrize("x", [0.0, 0.1, 1.0, 20.0, 200.0])
def test_the_tail_of_chi_square_is_scipys(freedom, x):
    assert chi_square_tail(x, freedom) == pytest.approx(stats.chi2.sf(x, freedom), rel=1e-10)


def test_chi_square_of_two_degrees_is_exponential():
    assert chi_square_tail(6.0, 2) == pytest.approx(math.exp(-3))
    assert chi_square_tail(3.841459, 1) == pytest.approx(0.05, abs=1e-7)
