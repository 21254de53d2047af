import math
from itertools import combinations

import numpy as np
import pytest
from candidates import KEY, SONGS, TRACKS, candidate
from hypothesis import given, settings
from hypothesis import strategies as st

from mss_results.aggregate import Cell
from mss_results.columns import Candidate, Column, Pair, compare_columns
from mss_results.ranks import Rank, column_ranks, rank


def ranks_of(*candidates):
    found = rank(compare_columns(candidates))
    return {each.id: str(found.get(each.id, {}).get(KEY, "")) for each in candidates}


def made(wins, rows, tracks=50):
    """A column in which `wins` (better, worse) are significant."""
    pairs = [
        Pair(
            *((b, a) if (b, a) in wins else (a, b)),
            tracks,
            p := 0.001 if {(a, b), (b, a)} & set(wins) else 0.9,
            p,
            (0, 0),
            0.0,
            None,
        )
        for a, b in combinations(rows, 2)
    ]
    return Column(tuple(rows), tracks, None, tuple(pairs))


def test_a_planted_tie_is_a_tie_and_a_planted_difference_is_none():
    noise = np.random.RandomState(4).normal(0, 0.5, 50)
    found = ranks_of(
        candidate("mine", SONGS),
        candidate("noisy", SONGS + noise - np.median(noise)),
        candidate("copy", SONGS),
        candidate("better", SONGS + 0.2),
    )
    assert found["better"] in ("1", "1-2") and found["mine"] == found["copy"]
    assert ranks_of(candidate("mine", SONGS), candidate("better", SONGS + 0.2)) == {
        "better": "1",
        "mine": "2",
    }


def test_a_row_between_two_that_differ_spans_the_places_of_both():
    found = column_ranks(made({("a", "c")}, "abc"))
    assert {id: str(each) for id, each in found.items()} == {"a": "1-2", "b": "1-3", "c": "2-3"}


def test_the_row_below_a_group_of_three_has_rank_four():
    found = ranks_of(
        *(candidate(f"top{index}", SONGS + 5) for index in range(3)), candidate("low", SONGS)
    )
    assert (found["top0"], found["low"]) == ("1-3", "4")


def test_ranks_follow_the_tests_where_the_medians_disagree():
    upper = np.concatenate([np.full(24, 1.0), np.full(26, 6.0)])  # median 6
    lower = np.concatenate([np.full(24, 5.5), np.full(26, 5.9)])  # median 5.9, far ahead on 24
    assert ranks_of(candidate("upper", upper), candidate("lower", lower)) == {
        "upper": "2",
        "lower": "1",
    }


def test_too_few_tracks_give_no_ranks_rather_than_a_tie():
    six = TRACKS[:6]
    ladder = [candidate(f"m{step}", np.arange(6.0) + step, tracks=six) for step in range(3)]
    assert ranks_of(*ladder[:2]) == {"m0": "2", "m1": "1"}
    assert set(ranks_of(*ladder).values()) == {""}


def test_rows_that_beat_each_other_in_a_circle_share_their_places():
    # Without this, a would stand above b although b beats a.
    wins = {("a", "c"), ("a", "d"), ("c", "b"), ("d", "b"), ("b", "a"), ("e", "a"), ("e", "b")}
    wins |= {("e", "c"), ("e", "d")}
    found = {id: str(each) for id, each in column_ranks(made(wins, "abcde")).items()}
    assert found == {"e": "1"} | dict.fromkeys("abcd", "2-5")


@st.composite
def columns(draw):
    rows = [str(index) for index in range(draw(st.integers(2, 7)))]
    wins = set()
    for one, two in combinations(rows, 2):
        outcome = draw(st.sampled_from([None, (one, two), (two, one)]))
        if outcome:
            wins.add(outcome)
    return rows, wins


@settings(max_examples=300)
@given(columns())
def test_ranks_never_contradict_the_tests_whatever_these_say(drawn):
    rows, wins = drawn
    ranks = column_ranks(made(wins, rows))
    for one, two in ((one, two) for one in rows for two in rows if one != two):
        if (one, two) in wins:
            assert not ranks[two].high < ranks[one].low
        if ranks[one].high < ranks[two].low:
            between = any((one, row) in wins and (row, two) in wins for row in rows)
            assert (one, two) in wins or between
    for row, place in ranks.items():
        better = sum((other, row) in wins for other in rows)
        worse = sum((row, other) in wins for other in rows)
        assert 1 <= place.low <= 1 + better and len(rows) - worse <= place.high <= len(rows)
        assert place.low <= place.high


@settings(max_examples=30)
@given(st.integers(0, 2**31 - 1), st.integers(2, 8))
def test_ranks_of_scores_count_the_significant_pairs(seed, rows):
    random = np.random.RandomState(seed)
    spread = random.uniform(0, 0.5)
    made_rows = [
        candidate(f"m{row}", SONGS + spread * row + random.normal(0, 0.7, 50))
        for row in range(rows)
    ]
    (column,) = compare_columns(made_rows)[KEY]
    significant = [(pair.better, pair.worse) for pair in column.pairs if pair.corrected < 0.05]
    for id, place in column_ranks(column).items():
        assert place.low == 1 + sum(worse == id for _, worse in significant)
        assert place.high == rows - sum(better == id for better, _ in significant)


@pytest.mark.parametrize(("rank", "text"), [(Rank(1, 1), "1"), (Rank(3, 5), "3-5")])
def test_a_rank_is_printed_as_a_place_or_two(rank, text):
    assert str(rank) == text


def test_a_row_without_a_score_in_a_column_has_no_rank_there():
    silent = Candidate("silent", {KEY: Cell(math.nan, 0, "", None, {})}, "f", TRACKS)
    found = ranks_of(candidate("a", SONGS), candidate("b", SONGS - 1), silent)
    assert found == {"a": "1", "b": "2", "silent": ""}
