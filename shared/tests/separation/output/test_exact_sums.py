"""Integers on one grid: sums are exact, nothing moves by a step, nothing leaves its format."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from mss_shared.separation.output.exact_sums import (
    Grid,
    find_float_grid,
    fits,
    integer_range,
    keep_within,
    round_jointly,
)


def signals(stems: int, peak: float) -> st.SearchStrategy[NDArray[np.float64]]:
    return arrays.arrays(
        np.float64, (stems, 2, 5), elements=st.floats(-peak, peak, allow_subnormal=False)
    )


@settings(max_examples=200)
@given(data=st.data(), stems=st.integers(2, 6), exponent=st.sampled_from([15, 23, 31, 49]))
def test_integers_of_stems_add_up_to_the_mixtures_and_none_moves_by_a_step(
    data: st.DataObject, stems: int, exponent: int
) -> None:
    grid = Grid(exponent)
    values = data.draw(signals(stems, 1.0))
    mixture = grid.round(values.sum(axis=0)) / grid.scale
    found = round_jointly(values, mixture, grid)
    assert (found.sum(axis=0) == (mixture * grid.scale).astype(np.int64)).all()
    # The last sum was rounded before, and float64 sums are off by a little.
    assert (
        np.abs(found - values * grid.scale) <= 1.0 + 1e-9 + stems * 2.0 ** (exponent - 51)
    ).all()


def test_the_mixture_decides_where_the_stems_do_not_quite_add_up_to_it() -> None:
    stems = np.array([0.25, 0.5]).reshape(2, 1, 1)
    found = round_jointly(stems, np.array([[0.75 + 3 / 2**15]]), Grid(15))
    assert found.ravel().tolist() == [2**13, 2**14 + 3]


@settings(max_examples=200)
@given(data=st.data(), stems=st.integers(2, 5), subtype=st.sampled_from(["PCM_16", "PCM_24"]))
def test_what_exceeds_a_format_moves_and_the_sum_stays(
    data: st.DataObject, stems: int, subtype: str
) -> None:
    low, high = integer_range(subtype)
    integers = data.draw(
        arrays.arrays(np.int64, (stems, 1, 7), elements=st.integers(4 * low, 4 * high))
    )
    mixture = data.draw(arrays.arrays(np.int64, (1, 7), elements=st.integers(low, high)))
    integers[-1] = mixture - integers[:-1].sum(axis=0)
    kept = keep_within(integers, subtype)
    assert fits(kept, subtype) and (kept.sum(axis=0) == mixture).all()
    unmoved = ((integers >= low) & (integers <= high)).all(axis=0)
    assert (kept[:, unmoved] == integers[:, unmoved]).all()


@settings(max_examples=200)
@given(values=arrays.arrays(np.float32, (2, 9), elements=st.floats(-4.0, 4.0, width=32)))
def test_floats_above_the_finest_step_lie_on_their_grid(values: NDArray[np.float32]) -> None:
    values = np.where(np.abs(values) < 2.0**-20, np.float32(0.0), values)
    grid, peak = find_float_grid([values.astype(np.float64)])
    assert peak == np.abs(values).max(initial=0.0)
    on_grid = grid.round(values.astype(np.float64))
    assert (on_grid / grid.scale == values).all()
    assert np.abs(on_grid).max(initial=0.0) <= 2.0**53


@settings(max_examples=200)
@given(data=st.data(), stems=st.integers(2, 5), kind=st.sampled_from(["FLOAT", "DOUBLE"]))
def test_floats_that_fit_add_up_in_their_own_precision_without_rounding(
    data: st.DataObject, stems: int, kind: str
) -> None:
    exponent, dtype = (23, np.float32) if kind == "FLOAT" else (51, np.float64)
    grid = Grid(exponent)
    values = data.draw(signals(stems, 0.3))
    mixture = grid.round(values.sum(axis=0)) / grid.scale
    integers = round_jointly(values, mixture, grid)
    assert fits(integers, kind)
    total = np.zeros(mixture.shape, dtype)
    for stem in (integers / grid.scale).astype(dtype):
        total += stem
    assert (total == mixture.astype(dtype)).all()


def test_a_float_format_is_full_where_partial_sums_are() -> None:
    step = np.int64(1) << 23
    inside = np.array([step, step, -step]).reshape(3, 1, 1)
    outside = np.array([step, step, 1, -step]).reshape(4, 1, 1)
    assert fits(inside, "FLOAT") and not fits(outside, "FLOAT") and fits(outside, "DOUBLE")
    assert not fits(np.full((1, 1, 1), 2**15), "PCM_16")


@pytest.mark.parametrize(
    ("value", "exponent"),
    [(0.5, 23), (3 * 2.0**-30, 30), (2.0**-60, 51), (1.5, 23), (0.0, 23), (6.0 + 2.0**-49, 48)],
)
def test_the_grid_is_as_fine_as_the_song_from_24_to_53_bits(value: float, exponent: int) -> None:
    assert find_float_grid([np.full((1, 1), value)])[0] == Grid(exponent)
