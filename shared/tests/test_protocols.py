"""Protocols: their ids, their frames, and how frames and tracks become one number."""

import math

import numpy as np
import pytest
import torch
from tiny_songs import noise

from mss_shared.metrics.sdr import usdr
from mss_shared.metrics.sisdr import si_sdr
from mss_shared.protocols import PROTOCOLS, aggregate, find_protocol
from mss_shared.scores import Frame, TrackScores

RATE = 1_000
NAN = math.nan


def track(**stems: list[float]) -> TrackScores:
    return {
        stem: [Frame(float(t), 1.0, {"SDR": value}) for t, value in enumerate(values)]
        for stem, values in stems.items()
    }


def usdr_track(**stems: float) -> TrackScores:
    return {stem: [Frame(0.0, 9.0, {"uSDR": value})] for stem, value in stems.items()}


def test_every_protocol_is_found_by_its_name_and_carries_a_version() -> None:
    ids = {name: find_protocol(name).id for name in PROTOCOLS}
    assert ids == {"bsseval_v4": "bsseval_v4@1", "usdr": "usdr@1", "si_sdr": "si_sdr@1"}


def test_the_aggregation_is_that_of_the_papers() -> None:
    rules = {name: (p.frames, p.tracks, p.metrics) for name, p in PROTOCOLS.items()}
    assert rules == {
        "bsseval_v4": ("median", "median", ("SDR",)),
        "usdr": ("mean", "mean", ("uSDR",)),
        "si_sdr": ("mean", "mean", ("SI-SDR",)),
    }


def test_an_unknown_protocol_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="no protocol 'sdr': choose from bsseval_v4, usdr, si_sdr"):
        find_protocol("sdr")


def test_bsseval_is_the_median_of_tracks_of_the_median_of_frames() -> None:
    tracks = [
        track(vocals=[1.0, 9.0, 2.0], drums=[0.0, 0.0]),  # medians 2, 0
        track(vocals=[4.0, 5.0], drums=[7.0]),  # 4.5, 7
        track(vocals=[-3.0], drums=[8.0, 2.0, 4.0]),  # -3, 4
    ]
    found = aggregate(tracks, find_protocol("bsseval_v4"))
    assert found == {"vocals": {"SDR": 2.0}, "drums": {"SDR": 4.0}}


def test_frames_without_a_score_are_skipped_and_tracks_without_one_as_well() -> None:
    tracks = [track(vocals=[NAN, 1.0, 3.0, NAN]), track(vocals=[NAN]), track(vocals=[6.0])]
    assert aggregate(tracks, find_protocol("bsseval_v4")) == {"vocals": {"SDR": 4.0}}


def test_a_stem_that_a_track_lacks_is_averaged_over_the_others() -> None:
    tracks = [track(vocals=[1.0]), track(vocals=[3.0], drums=[5.0])]
    found = aggregate(tracks, find_protocol("bsseval_v4"))
    assert found == {"vocals": {"SDR": 2.0}, "drums": {"SDR": 5.0}}


def test_a_number_that_no_frame_supports_is_nan() -> None:
    found = aggregate([track(vocals=[NAN, NAN]), track(vocals=[])], find_protocol("bsseval_v4"))
    assert math.isnan(found["vocals"]["SDR"])
    assert aggregate([], find_protocol("bsseval_v4")) == {}


def test_usdr_is_the_mean_over_tracks() -> None:
    tracks = [usdr_track(vocals=1.0), usdr_track(vocals=2.0), usdr_track(vocals=9.0)]
    assert aggregate(tracks, find_protocol("usdr")) == {"vocals": {"uSDR": 4.0}}


@pytest.mark.parametrize(("name", "metric"), [("usdr", usdr), ("si_sdr", si_sdr)])
def test_whole_track_protocols_have_one_frame_with_the_float64_value(
    name: str, metric: object
) -> None:
    references = np.stack([noise(n, samples=2_500) for n in range(2)])
    estimates = references + 0.3 * np.stack([noise(n, samples=2_500) for n in (7, 8)])
    protocol = find_protocol(name)
    found = protocol.score(references, estimates, ("bass", "other"), RATE)
    assert list(found) == ["bass", "other"]
    for index, frames in enumerate(found.values()):
        value = metric(  # type: ignore[operator]
            torch.from_numpy(references[index]).double(),
            torch.from_numpy(estimates[index]).double(),
        )
        assert frames == [Frame(0.0, 2.5, {protocol.metrics[0]: value.item()})]


def test_bsseval_frames_are_whole_seconds_in_order() -> None:
    references = np.stack([noise(n, samples=3_900) for n in range(2)])
    found = find_protocol("bsseval_v4").score(references, 0.9 * references, ("a", "b"), RATE)
    for frames in found.values():
        assert [(frame.time, frame.duration) for frame in frames] == [(t, 1.0) for t in (0, 1, 2)]
        assert [frame.metrics["SDR"] for frame in frames] == pytest.approx([20.0] * 3, abs=1e-4)


def test_a_song_shorter_than_a_second_is_one_bsseval_frame() -> None:
    references = np.stack([noise(n, samples=700) for n in range(2)])
    found = find_protocol("bsseval_v4").score(references, 0.5 * references, ("a", "b"), RATE)
    for frames in found.values():
        assert [(frame.time, frame.duration) for frame in frames] == [(0.0, 0.7)]
        assert frames[0].metrics["SDR"] == pytest.approx(20 * math.log10(2), abs=1e-4)
