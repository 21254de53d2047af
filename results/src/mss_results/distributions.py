"""Tails of Student's t and chi-square, and quantiles of t, since numpy has none."""

import math
from functools import lru_cache

_TINY = 1e-300  # keeps the continued fraction from dividing by zero
_MAX_TERMS = 10_000


def student_tail(t: float, freedom: float) -> float:
    """P(T > t) for t >= 0 under Student's t with `freedom` > 0 degrees of freedom.

    Source: Abramowitz and Stegun 1964, 26.7.1, through the incomplete beta function.
    """
    assert t >= 0 and freedom > 0, (t, freedom)
    return 0.5 * _incomplete_beta(freedom / (freedom + t * t), freedom / 2, 0.5)


@lru_cache(maxsize=1024)
def student_quantile(level: float, freedom: float) -> float:
    """The t that |T| exceeds with probability 1 - level, found by bisection."""
    tail = (1 - level) / 2
    low, high = 0.0, 1.0
    while student_tail(high, freedom) > tail:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if student_tail(middle, freedom) > tail else (low, middle)
    return (low + high) / 2


def chi_square_tail(x: float, freedom: int) -> float:
    """P(X > x) for x >= 0 under chi-square with a whole number of degrees of freedom.

    Source: Abramowitz and Stegun 1964, 26.4.4 and 26.4.5, finite sums for odd and even degrees.
    """
    assert x >= 0 and freedom >= 1, (x, freedom)
    odd = freedom % 2
    half = x / 2
    tail = math.erfc(math.sqrt(half)) if odd else 0.0
    # Each term is half / (k + odd / 2) times the one before; the first of the odd sum is
    # exp(-half) sqrt(half) / gamma(3 / 2).
    term = math.exp(-half) * (2 * math.sqrt(half / math.pi) if odd else 1.0)
    for k in range(freedom // 2):
        tail += term
        term *= half / (k + 1 + odd / 2)
    return min(1.0, tail)


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    if x in (0.0, 1.0):
        return x
    if x > (a + 1) / (a + b + 2):  # where the fraction of the complement converges faster
        return 1 - _incomplete_beta(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    log_front += a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / (a * _beta_fraction(x, a, b))


def _beta_fraction(x: float, a: float, b: float) -> float:
    """The continued fraction 1 + d1 / (1 + d2 / (1 + ...)), by the modified Lentz algorithm.

    Source: Abramowitz and Stegun 1964, 26.5.8; Thompson and Barnett 1986 for the algorithm.
    """
    value, upper, lower = 1.0, 1.0, 0.0
    for term in range(1, _MAX_TERMS):
        m = term // 2
        if term % 2:
            coefficient = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            coefficient = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        lower = 1 / (1 + coefficient * lower or _TINY)
        upper = 1 + coefficient / upper or _TINY
        value *= upper * lower
        if abs(upper * lower - 1) < 1e-15:
            break
    return value
