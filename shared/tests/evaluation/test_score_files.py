"""Score files: museval's text to the letter, round trips, and writes that are whole or not."""

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss_shared.atomic import write_text
from mss_shared.evaluation import score_files
from mss_shared.evaluation.score_files import Frame, TrackScores

# museval's own text for these numbers, as its TrackStore writes it with indentation.
TEXT = """{
  "targets": [
    {
      "name": "vocals",
      "frames": [
        {
          "time": 0.0,
          "duration": 1.0,
          "metrics": {
            "SDR": 5.12340,
            "ISR": NaN
          }
        }
      ]
    },
    {
      "name": "drums",
      "frames": []
    }
  ]
}"""

SONG = TrackScores(
    "A - Song é",
    {"vocals": [Frame(0.0, 1.0, {"SDR": 5.123401, "ISR": math.nan})], "drums": []},
)


def one(value: float) -> Any:
    text = score_files.to_json(TrackScores("x", {"vocals": [Frame(0.0, 1.0, {"SDR": value})]}))
    return text.split('"SDR": ')[1].split("\n")[0]


def test_the_text_is_musevals() -> None:
    assert score_files.to_json(SONG) == TEXT


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.00000"),
        (-0.123456, "-0.12346"),
        (0.5**17, "0.00001"),  # 0.00000762939453125
        (2.5 + 0.5**6, "2.51562"),  # exactly 2.515625: the even digit below
        (2.5 + 3 * 0.5**6, "2.54688"),  # exactly 2.546875: the even digit above
        (1.000135, "1.00013"),  # the nearest double is 1.00013499999999999623
        (1.000145, "1.00015"),  # 1.00014500000000006175
        (math.inf, "NaN"),
        (-math.inf, "NaN"),
        (math.nan, "NaN"),
    ],
)
def test_values_have_five_decimals_rounded_half_to_even_on_the_exact_binary_value(
    value: float, text: str
) -> None:
    assert one(value) == text


@given(st.floats(-300.0, 300.0))
def test_rounding_moves_a_value_by_at_most_half_a_step_and_once(value: float) -> None:
    rounded = float(one(value))
    assert abs(rounded - value) <= 0.5e-5 + 1e-13
    assert float(one(rounded)) == rounded


names = st.text(min_size=1, max_size=5)
frames = st.builds(
    Frame,
    time=st.integers(0, 400).map(float),
    duration=st.just(1.0),
    metrics=st.dictionaries(names, st.integers(-(10**6), 10**6).map(lambda n: n / 10**4)),
)


@given(st.dictionaries(names, st.lists(frames, max_size=3), max_size=3))
def test_what_was_written_is_read_again_and_is_json(targets: dict[str, list[Frame]]) -> None:
    track = TrackScores("x", targets, protocol="usdr@1")
    text = score_files.to_json(track)
    assert score_files.from_json(text, "x", "usdr@1") == track
    assert text == json.dumps(json.loads(text), indent=2) or any(targets.values())


@given(st.text() | st.recursive(st.none() | st.integers(), st.lists).map(json.dumps))
def test_other_text_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="x.json is not a score file in museval's format: replace"):
        score_files.from_json(text, "x", what="x.json")


def test_deep_nesting_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="x.json is not a score file"):
        score_files.from_json("[" * 100_000, "x", what="x.json")


def test_a_track_is_written_where_museval_looks_and_its_digest_is_the_files(
    tmp_path: Path,
) -> None:
    digest = score_files.write_track(tmp_path / "run", "usdr", SONG)
    path = tmp_path / "run" / "usdr" / "test" / "A - Song é.json"
    assert path.read_text(encoding="utf-8") == TEXT
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_text_is_readable_by_all_and_leaves_no_other_file(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.txt", "é\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "é\n".encode()
    assert (tmp_path / "new" / "a.txt").stat().st_mode & 0o777 == 0o644
    assert len(list((tmp_path / "new").iterdir())) == 1


@pytest.mark.parametrize("failing", ["replace", "open"])
def test_a_failing_write_leaves_the_old_text_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
