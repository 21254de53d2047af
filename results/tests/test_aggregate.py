import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss_results.aggregate import aggregate, combine, track_values
from mss_results.track_file import STEMS, Protocol, TrackScores

NAN = math.nan
MEDIANS = Protocol(
    "bsseval_v4@1", ("SDR",), "dB", STEMS, "median", "median", "silent frames are NaN"
)
MEANS = Protocol("usdr@1", ("SDR",), "dB", STEMS, "mean", "mean", "silent songs count")
decibels = st.floats(-200, 200)


def track(name, protocol=MEDIANS.id, **stems):
    frames = {(stem, "SDR"): np.array(values) for stem, values in stems.items()}
    return TrackScores(protocol, name, frames, 1.0)


def test_the_median_of_medians_skips_nan_frames_and_nan_tracks():
    tracks = [
        track("a", vocals=[1.0, NAN, 3.0, 10.0]),  # median 3
        track("b", vocals=[NAN, 4.0, 5.0]),  # median 4.5
        track("c", vocals=[NAN, NAN]),  # no score
        track("d", vocals=[-8.0]),
    ]
    cell = aggregate(MEDIANS, tracks, "run")["vocals", "SDR"]
    assert (cell.value, cell.tracks) == (3.0, 3)


def test_the_mean_over_tracks_skips_nan():
    tracks = [
        track("a", "usdr@1", vocals=[2.0, 4.0]),
        track("b", "usdr@1", vocals=[NAN]),
        track("c", "usdr@1", vocals=[9.0]),
    ]
    cell = aggregate(MEANS, tracks, "run")["vocals", "SDR"]
    assert (cell.value, cell.tracks) == (6.0, 2)


def test_frames_and_tracks_are_brought_together_each_in_its_own_way():
    mixed = Protocol("mixed@1", ("SDR",), "dB", STEMS, "median", "mean", "silent frames are NaN")
    tracks = [
        track("a", "mixed@1", vocals=[0.0, 0.0, 9.0]),  # median 0
        track("b", "mixed@1", vocals=[1.0]),
        track("c", "mixed@1", vocals=[8.0]),
    ]
    assert aggregate(mixed, tracks, "run")["vocals", "SDR"].value == 3.0


def test_a_stem_without_any_score_is_nan_over_no_tracks():
    cell = aggregate(MEDIANS, [track("a", vocals=[NAN])], "run")["vocals", "SDR"]
    assert math.isnan(cell.value)
    assert cell.tracks == 0


def test_the_average_is_the_plain_mean_of_four_stems_and_counts_the_fewest_tracks():
    tracks = [
        track("a", vocals=[1.0], drums=[2.0], bass=[3.0], other=[6.0], accompaniment=[99.0]),
        track("b", vocals=[NAN], drums=[2.0], bass=[3.0], other=[6.0], accompaniment=[99.0]),
    ]
    cell = aggregate(MEDIANS, tracks, "run")["average", "SDR"]
    assert (cell.value, cell.tracks) == (3.0, 1)


def test_there_is_no_average_over_three_stems():
    cells = aggregate(MEDIANS, [track("a", vocals=[1.0], drums=[2.0], bass=[3.0])], "run")
    assert sorted(cells) == [("bass", "SDR"), ("drums", "SDR"), ("vocals", "SDR")]


def test_two_protocol_ids_in_one_aggregation_are_refused():
    tracks = [track("a", vocals=[1.0]), track("b", protocol="bsseval_v4@2", vocals=[1.0])]
    with pytest.raises(ValueError, match=r"'b' has scores under bsseval_v4@2 .* bsseval_v4@1"):
        aggregate(MEDIANS, tracks, "run")
    with pytest.raises(ValueError, match="aggregate one protocol id at a time"):
        track_values(MEDIANS, tracks)


@given(st.lists(st.one_of(decibels, st.just(NAN)), max_size=50))
def test_the_median_equals_nanmedian_for_every_pattern_of_nan(values):
    if all(map(math.isnan, values)):
        assert math.isnan(combine(values, "median"))
    else:
        assert combine(values, "median") == np.nanmedian(values)


@given(st.lists(st.one_of(decibels, st.just(NAN)), min_size=1, max_size=50), st.randoms())
def test_the_mean_is_nanmean_and_knows_no_order(values, shuffler):
    mean = combine(values, "mean")
    shuffled = list(values)
    shuffler.shuffle(shuffled)
    again = combine(shuffled, "mean")
    if all(map(math.isnan, values)):
        assert math.isnan(mean) and math.isnan(again)
    else:
        assert mean == again == pytest.approx(np.nanmean(values), abs=1e-9)
