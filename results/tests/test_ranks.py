import math

import numpy as np
import pytest

from mss_results.aggregate import Cell
from mss_results.ranks import Candidate, Rank, pools, rank

KEY = ("vocals", "SDR")
TRACKS = tuple(f"song {index:02d}" for index in range(50))
SONGS = np.random.RandomState(3).normal(6, 2, 50)


def candidate(id, values, fingerprint="f", tracks=TRACKS):
    by_track = dict(zip(tracks, (float(value) for value in values), strict=True))
    cell = Cell(float(np.nanmedian(values)), len(tracks), id, None, by_track)
    return Candidate(id, {KEY: cell}, fingerprint, tracks)


def ranks_of(*candidates):
    return {id: found.get(KEY) for id, found in rank(candidates).items()}


def test_a_planted_tie_is_a_tie_and_a_planted_difference_is_none():
    noise = np.random.RandomState(4).normal(0, 0.5, 50)
    found = ranks_of(
        candidate("mine", SONGS),
        candidate("noisy", SONGS + noise - np.median(noise)),
        candidate("copy", SONGS),
        candidate("better", SONGS + 0.2),
    )
    assert found["better"] == Rank(1, ())
    assert {found[id].position for id in ("mine", "noisy", "copy")} == {2}
    assert set(found["mine"].tied) == {"noisy", "copy"}


def test_the_row_below_a_group_of_three_has_rank_four():
    found = ranks_of(
        *(candidate(f"top{index}", SONGS + 5) for index in range(3)), candidate("low", SONGS)
    )
    assert (found["top0"].position, found["low"].position) == (1, 4)


def test_a_median_above_is_no_win_if_the_row_below_wins_on_most_tracks():
    upper = np.concatenate([np.full(24, 1.0), np.full(26, 6.0)])  # median 6
    lower = np.concatenate([np.full(24, 5.5), np.full(26, 5.9)])  # median 5.9, far ahead on 24
    found = ranks_of(candidate("upper", upper), candidate("lower", lower))
    assert found == {"upper": Rank(1, ("lower",)), "lower": Rank(1, ("upper",))}


def test_holms_correction_counts_the_neighbours():
    six = TRACKS[:6]
    ladder = [candidate(f"m{step}", np.arange(6.0) + step, tracks=six) for step in range(3)]
    # p = 2/64 per pair: below 0.05 alone, above it when two pairs are tested.
    assert ranks_of(*ladder[:2])["m0"].position == 2
    assert {each.position for each in ranks_of(*ladder).values()} == {1}


def test_rows_on_other_data_or_tracks_are_never_compared():
    found = ranks_of(
        candidate("a", SONGS, "f"),
        candidate("b", SONGS + 1, "g"),
        candidate("c", SONGS[:9], "f", TRACKS[:9]),
    )
    assert found == {"a": None, "b": None, "c": None}


@pytest.mark.parametrize(
    ("prints", "sizes"), [("ff-", [3]), ("fg-", [1, 1, 1]), ("--", [2]), ("f-g-", [1, 1, 2])]
)
def test_rows_of_unknown_data_join_a_single_known_one(prints, sizes):
    rows = [candidate(str(index), SONGS, each.strip("-")) for index, each in enumerate(prints)]
    assert sorted(len(pool) for pool in pools(rows)) == sizes


def test_a_row_without_a_score_in_a_column_has_no_rank_there():
    silent = Candidate("silent", {KEY: Cell(math.nan, 0, "", None, {})}, "f", TRACKS)
    found = ranks_of(candidate("a", SONGS), candidate("b", SONGS - 1), silent)
    assert (found["silent"], found["a"].position, found["b"].position) == (None, 1, 2)
