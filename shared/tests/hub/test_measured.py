"""Scores of given weights, from records that may hold anything."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mss_shared.evaluation.protocols import find_protocol
from mss_shared.evaluation.run_record import describe_protocol
from mss_shared.evaluation.score_files import Frame, TrackScores, write_track
from mss_shared.hub.card import _tables
from mss_shared.hub.measured import find_scores

STEMS = ("vocals", "drums")


def scores_of(track: str, protocol: str, **values: float) -> TrackScores:
    name = find_protocol(protocol).metrics[0]
    targets = {stem: [Frame(0.0, 1.0, {name: value})] for stem, value in values.items()}
    return TrackScores(track, targets, protocol=f"{protocol}@1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run with two songs under two protocols."""
    folder = tmp_path / "scores" / "songs" / "paper" / "run"
    protocols = {}
    for name in ("usdr", "si_sdr"):
        protocol = find_protocol(name).on(STEMS)
        tracks = [scores_of(song, name, vocals=3.0, drums=1.0) for song in ("a", "b")]
        digests = {track.name: write_track(folder, name, track) for track in tracks}
        protocols[name] = describe_protocol(protocol, tracks, digests)
    record = {
        "models": [{"weights_digest": "d", "verbatim": True}],
        "verbatim": True,
        "dataset": {"name": "songs", "split": "test", "tracks": ["a", "b"]},
        "protocols": protocols,
    }
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def change(folder: Path, keys: str, value: Any) -> None:
    """Set one value in the record; keys are joined by slashes."""
    record = json.loads((folder / "run.json").read_text())
    *path, last = keys.split("/")
    inner = record
    for key in path:
        inner = inner[key]
    inner[last] = value
    (folder / "run.json").write_text(json.dumps(record))


def found(folder: Path) -> list[str]:
    return [each.protocol for each in find_scores([folder.parents[2]], "paper", "d")]


def test_scores_are_found_with_their_averages(folder: Path) -> None:
    each, _ = find_scores([folder.parents[2]], "paper", "d")
    assert (each.dataset, each.split, each.protocol, each.tracks) == (
        *("songs", "test", "si_sdr@1", 2),
    )
    assert each.values == {"vocals": {"SI-SDR": 3.0}, "drums": {"SI-SDR": 1.0}}


ODD = [5, None, "ab", [], {}, [1], [["a"]], ["a", "a"], {"a": 1}, True]


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize("keys", ["dataset/tracks", "protocols/usdr/targets"])
def test_what_is_no_list_of_names_is_refused(folder: Path, keys: str, value: Any) -> None:
    change(folder, keys, value)
    with pytest.raises(ValueError, match=rf"run\.json: field {keys.replace('/', '.')} is "):
        found(folder)


@pytest.mark.parametrize("value", [5, None, [], {"a": [1] * 1000}, "x" * 9999, "a\nb", ""])
@pytest.mark.parametrize("keys", ["dataset/name", "dataset/split", "protocols/usdr/id"])
def test_what_is_no_name_is_refused(folder: Path, keys: str, value: Any) -> None:
    change(folder, keys, value)
    with pytest.raises(ValueError, match=rf"run\.json: field {keys.replace('/', '.')} is ") as said:
        found(folder)
    assert len(str(said.value)) < 1000


@pytest.mark.parametrize("value", [5, None, [], "ab", ["id"]], ids=repr)
@pytest.mark.parametrize("keys", ["dataset", "protocols", "protocols/usdr"])
def test_what_is_no_object_is_refused(folder: Path, keys: str, value: Any) -> None:
    change(folder, keys, value)
    with pytest.raises(ValueError, match=rf"run\.json: field {keys.replace('/', '.')} is "):
        found(folder)


@pytest.mark.parametrize("id", ["new@1", "usdr@2", "usdr.best_order.x@1", "log_wmse"])
def test_scores_of_a_protocol_that_this_version_does_not_know_are_left_out(
    folder: Path, id: str
) -> None:
    change(folder, "protocols/usdr/id", id)
    assert found(folder) == ["si_sdr@1"]


def test_scores_that_need_a_missing_package_are_found_without_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ModuleNotFoundError

    monkeypatch.setattr("mss_shared.evaluation.protocols.load_published", missing)
    for song in ("a", "b"):
        write_track(folder, "log_wmse", scores_of(song, "log_wmse", vocals=3.0))
    change(folder, "protocols/log_wmse", {"id": "log_wmse@1", "targets": ["vocals"]})
    assert found(folder) == ["log_wmse@1", "si_sdr@1", "usdr@1"]


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: write_track(folder, "usdr", scores_of("a", "usdr", bass=1.0)),
        lambda folder: write_track(folder, "usdr", scores_of("a", "si_sdr", vocals=1.0)),
    ],
    ids=["another stem", "another metric"],
)
def test_a_file_that_is_not_of_its_record_is_refused(
    folder: Path, write: Callable[[Path], str]
) -> None:
    write(folder)
    with pytest.raises(ValueError, match=r"usdr/test/a\.json has other stems or metrics than"):
        found(folder)


def test_a_stem_without_any_score_has_an_empty_cell(folder: Path) -> None:
    for song in ("a", "b"):
        write_track(folder, "usdr", scores_of(song, "usdr", vocals=3.0, drums=float("nan")))
        write_track(folder, "si_sdr", scores_of(song, "si_sdr"))
    scores = find_scores([folder.parents[2]], "paper", "d")
    assert [each.protocol for each in scores] == ["usdr@1"]
    assert "| vocals | 3.00 |\n| drums |  |" in _tables(scores)
