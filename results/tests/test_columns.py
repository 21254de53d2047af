import math
from dataclasses import replace

import numpy as np
import pytest
from candidates import KEY, SONGS, TRACKS, candidate
from hypothesis import given, settings
from hypothesis import strategies as st

from mss_results.aggregate import Cell, aggregate
from mss_results.columns import Candidate, compare_columns, pools
from mss_results.significance import holm
from mss_results.track_file import AVERAGE, STEMS, Protocol, TrackScores

MEDIANS = Protocol("bsseval_v4@1", ("SDR",), "dB", STEMS, "median", "median", "silent is NaN")


def column_of(*candidates, key=KEY):
    (column,) = compare_columns(candidates)[key]
    return column


def four(id, stems, fingerprint="f"):
    """A row from (stem, track) scores, aggregated as a run's."""
    tracks = [
        TrackScores(
            MEDIANS.id,
            TRACKS[index],
            {(stem, "SDR"): np.array([value]) for stem, value in zip(STEMS, values, strict=True)},
            1.0,
        )
        for index, values in enumerate(np.asarray(stems).T)
    ]
    return Candidate(id, aggregate(MEDIANS, tracks, id), fingerprint, TRACKS[: len(tracks)])


def test_a_pair_counts_wins_and_measures_the_difference_from_the_better_row():
    column = column_of(
        candidate("low", [1.0, 5.0, 2.0, 9.0, math.nan, 4.0, 3.0], tracks=TRACKS[:7]),
        candidate("high", [3.0, 4.0, 5.0, 9.0, 1.0, 6.0, 8.0], tracks=TRACKS[:7]),
    )
    (pair,) = column.pairs
    assert (pair.better, pair.worse, pair.tracks, pair.wins) == ("high", "low", 6, (4, 1))
    # Differences 2, -1, 3, 0, 2, 5: ranks of the five that are not 0 are 2.5, 1, 4, 2.5, 5.
    assert pair.p == pair.corrected == 4 / 32
    assert pair.difference == 2.0
    assert pair.interval == (-1.0, 5.0)


def test_p_is_corrected_for_all_pairs_and_against_one_row_for_its_own():
    random = np.random.RandomState(5)
    rows = [
        candidate(f"m{shift}", SONGS + shift / 5 + random.normal(0, 1, 50)) for shift in range(5)
    ]
    column = column_of(*rows)
    assert len(column.pairs) == 10
    assert [pair.corrected for pair in column.pairs] == holm([pair.p for pair in column.pairs])
    against = column.against("m2")
    assert len(against) == 4 and all("m2" in (pair.better, pair.worse) for pair in against)
    assert [pair.corrected for pair in against] == holm([pair.p for pair in against])


@pytest.mark.parametrize(
    ("rows", "tracks", "separable"), [(2, 6, True), (3, 6, False), (10, 11, True)]
)
def test_too_few_tracks_separate_no_two_rows(rows, tracks, separable):
    # 2/64 for one pair, 6/64 for three, 90/2048 for 45.
    ladder = [
        candidate(f"m{step}", np.arange(tracks) + step, tracks=TRACKS[:tracks])
        for step in range(rows)
    ]
    column = column_of(*ladder)
    assert (column.tracks, column.is_separable) == (tracks, separable)
    assert any(pair.is_significant for pair in column.pairs) == separable


def test_rows_on_other_data_or_tracks_are_never_compared():
    rows = (
        candidate("a", SONGS, "f"),
        candidate("b", SONGS + 1, "g"),
        candidate("c", SONGS[:9], "f", TRACKS[:9]),
    )
    assert compare_columns(rows) == {}


def test_the_largest_pool_of_a_column_comes_first():
    few = [candidate(f"few{index}", SONGS[:9], tracks=TRACKS[:9]) for index in range(2)]
    many = [candidate(f"many{index}", SONGS) for index in range(3)]
    assert [len(column.rows) for column in compare_columns([*few, *many])[KEY]] == [3, 2]


@pytest.mark.parametrize(
    ("prints", "sizes"), [("ff-", [3]), ("fg-", [1, 1, 1]), ("--", [2]), ("f-g-", [1, 1, 2])]
)
def test_rows_of_unknown_data_join_a_single_known_one(prints, sizes):
    rows = [candidate(str(index), SONGS, each.strip("-")) for index, each in enumerate(prints)]
    assert sorted(len(pool) for pool in pools(rows)) == sizes


def test_a_row_without_a_score_in_a_column_is_not_in_its_tests():
    silent = Candidate("silent", {KEY: Cell(math.nan, 0, "", None, {})}, "f", TRACKS)
    assert column_of(candidate("a", SONGS), candidate("b", SONGS), silent).rows == ("a", "b")


def test_the_average_is_tested_as_it_is_shown():
    # On 26 of 50 tracks `medians` is a little better in every stem, on 24 far worse: its medians
    # are higher, its tracks' means are lower. The table shows the mean of medians.
    random = np.random.RandomState(6)
    base = random.normal(6, 1, (4, 50))
    edge = base + 0.3 * (base > np.median(base, axis=1, keepdims=True) - 0.4)
    edge -= 4.0 * (base < np.median(base, axis=1, keepdims=True) - 0.4)
    rows = four("steady", base), four("medians", edge)
    value = {row.id: row.cells[AVERAGE, "SDR"].value for row in rows}
    means = {row.id: np.mean(list(row.cells[AVERAGE, "SDR"].by_track.values())) for row in rows}
    assert value["medians"] > value["steady"] and means["medians"] < means["steady"]
    (pair,) = column_of(*rows, key=(AVERAGE, "SDR")).pairs
    assert pair.better == "medians"
    assert pair.difference == pytest.approx(value["medians"] - value["steady"], abs=1e-9)
    assert pair.interval[0] < pair.difference < pair.interval[1]


def test_a_shift_of_every_track_has_the_smallest_p_and_no_track_below():
    stems = np.random.RandomState(7).normal(5, 2, (4, 6))
    (pair,) = column_of(four("a", stems), four("b", stems + 0.25), key=(AVERAGE, "SDR")).pairs
    assert (pair.better, pair.p, pair.wins) == ("b", 2 / 64, (6, 0))
    assert (pair.difference, pair.interval) == (0.25, pytest.approx((0.25, 0.25)))
    (same,) = column_of(four("a", stems), four("b", stems), key=(AVERAGE, "SDR")).pairs
    assert (same.p, same.wins, same.difference) == (1.0, (0, 0), 0.0)


@settings(max_examples=40)
@given(st.integers(0, 2**31 - 1), st.integers(2, 6), st.integers(2, 9))
def test_p_interval_and_direction_of_the_average_agree(seed, rows, tracks):
    random = np.random.RandomState(seed)
    songs = random.normal(5, 2, (4, tracks))
    made = [four(f"m{row}", songs + random.normal(row / 3, 1, songs.shape)) for row in range(rows)]
    value = {row.id: row.cells[AVERAGE, "SDR"].value for row in made}
    for pair in column_of(*made, key=(AVERAGE, "SDR")).pairs:
        assert value[pair.better] >= value[pair.worse] and pair.difference >= 0
        assert sum(pair.wins) <= pair.tracks == tracks
        if pair.p > 2.0 ** (1 - tracks) * 1.000001:
            assert (pair.p < 0.05) == (pair.interval[0] > 0)


@settings(max_examples=100)
@given(
    st.integers(0, 2**31 - 1),
    st.sampled_from([KEY, (AVERAGE, "SDR")]),
    st.lists(st.floats(-3, 3).map(lambda value: value**3), min_size=2, max_size=4),
    st.lists(st.floats(-1, 1), max_size=4),
)
def test_seeds_never_make_a_pair_surer(seed, key, first, second):
    random = np.random.RandomState(seed)
    one, two = (four(id, random.normal(5, 2, (4, 9))) for id in ("a", "b"))
    alone = column_of(one, two, key=key).pairs[0]
    for row, runs in ((one, first), (two, second)):
        value = row.cells[key].value
        row.cells[key] = replace(row.cells[key], by_seed=tuple(value + run for run in runs))
    pair = column_of(one, two, key=key).pairs[0]
    assert (pair.better, pair.difference, pair.wins) == (alone.better, alone.difference, alone.wins)
    assert pair.p >= alone.p
    width, before = (ends[1] - ends[0] for ends in (pair.interval, alone.interval))
    assert width >= before * (1 - 1e-9)
