import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mss_shared import scores
from mss_shared.protocols import PROTOCOLS, aggregate, find_protocol
from mss_shared.scores import Frame, TrackScores

NAN = math.nan


def track(*values: float, stem: str = "vocals", metric: str = "SDR") -> TrackScores:
    return {stem: [Frame(float(t), 1.0, {metric: value}) for t, value in enumerate(values)]}


def test_values_are_rounded_half_to_even_at_five_decimals() -> None:
    """1/64 = 0.015625 has no sixth-decimal tie; 0.000005 is stored a little above its tie."""
    text = scores.to_json(track(2**-6, 0.5 + 2**-20, -3.0000049))
    frames = json.loads(text)["targets"][0]["frames"]
    assert [frame["metrics"]["SDR"] for frame in frames] == [0.01562, 0.5, -3.0]


def test_infinities_become_the_bare_token_nan() -> None:
    text = scores.to_json(track(math.inf, NAN, -math.inf))
    assert text.count('"SDR": NaN') == 3


def test_the_text_has_musevals_fields() -> None:
    found = json.loads(scores.to_json(track(1.0, 2.0)))
    assert found == {
        "targets": [
            {
                "name": "vocals",
                "frames": [
                    {"time": 0.0, "duration": 1.0, "metrics": {"SDR": 1.0}},
                    {"time": 1.0, "duration": 1.0, "metrics": {"SDR": 2.0}},
                ],
            }
        ]
    }


@given(st.lists(st.floats(-100, 100).map(lambda x: round(x, 5)), min_size=1, max_size=9))
def test_reading_gives_back_what_was_written(values: list[float]) -> None:
    assert scores.from_json(scores.to_json(track(*values)), "x") == track(*values)


@given(st.text() | st.sampled_from(['{"targets": [{}]}', "[1]", "null", '{"targets": 3}']))
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="song.json is not a score file in museval's format"):
        scores.from_json(text, "song.json")


def test_a_written_file_has_the_digest_that_is_returned(tmp_path: Path) -> None:
    digest = scores.write_track(tmp_path, "usdr", "a song", track(1.0))
    path = tmp_path / "usdr" / "test" / "a song.json"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    scores.write_text(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        scores.write_text(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"] and path.read_text() == "old"


def test_bsseval_is_a_median_over_frames_then_over_tracks() -> None:
    tracks = [track(1.0, 2.0, 9.0), track(NAN, 5.0, 7.0), track(NAN, NAN, NAN), track(0.0)]
    found = aggregate(tracks, PROTOCOLS["bsseval_v4"])
    assert found["vocals"]["SDR"] == 2.0  # of 2, 6 and 0; the third track has no score


def test_usdr_is_a_mean_over_tracks() -> None:
    tracks = [track(1.0, metric="uSDR"), track(4.0, metric="uSDR")]
    assert aggregate(tracks, PROTOCOLS["usdr"])["vocals"]["uSDR"] == 2.5


def test_a_number_without_a_frame_is_nan() -> None:
    assert math.isnan(aggregate([track(NAN)], PROTOCOLS["bsseval_v4"])["vocals"]["SDR"])


def test_ids_are_names_with_versions_and_unknown_names_list_the_known() -> None:
    assert {name: p.id for name, p in PROTOCOLS.items()} == {
        "bsseval_v4": "bsseval_v4@1",
        "usdr": "usdr@1",
        "si_sdr": "si_sdr@1",
    }
    with pytest.raises(ValueError, match="no protocol 'sdr': choose from bsseval_v4, usdr, si_sdr"):
        find_protocol("sdr")


def test_every_protocol_scores_every_stem_with_its_metrics() -> None:
    rng = np.random.default_rng(0)
    references = rng.standard_normal((2, 2, 2500)).astype(np.float32)
    estimates = (references * 0.9).astype(np.float32)
    for protocol in PROTOCOLS.values():
        found = protocol.score(references, estimates, ("vocals", "bass"), 1000)
        assert list(found) == ["vocals", "bass"]
        for frames in found.values():
            assert all(set(frame.metrics) == set(protocol.metrics) for frame in frames)
    frames = PROTOCOLS["bsseval_v4"].score(references, estimates, ("vocals", "bass"), 1000)
    assert [(f.time, f.duration) for f in frames["bass"]] == [(0.0, 1.0), (1.0, 1.0)]
    assert [f.metrics["SDR"] for f in frames["bass"]] == pytest.approx([20.0, 20.0], abs=1e-5)


def test_a_song_shorter_than_a_second_is_one_short_frame() -> None:
    reference = np.ones((1, 2, 400), np.float32)
    found = PROTOCOLS["bsseval_v4"].score(reference, 0.9 * reference, ("vocals",), 1000)
    assert [(f.time, f.duration) for f in found["vocals"]] == [(0.0, 0.4)]


def test_a_silent_stem_leaves_the_others_their_scores() -> None:
    references = np.ones((2, 2, 2000), np.float32)
    references[1] = 0.0
    found = PROTOCOLS["bsseval_v4"].score(
        references, references * 0.9 + 0.01, ("vocals", "bass"), 1000
    )
    assert all(math.isfinite(frame.metrics["SDR"]) for frame in found["vocals"])
    assert all(math.isnan(frame.metrics["SDR"]) for frame in found["bass"])
