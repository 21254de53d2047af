import json
import math
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from score_folders import ScoreFolders, four_stems, museval_json, sha256

from mss_results.finished import find_unfinished
from mss_results.read import read_runs


def replace_track(folders, folder, content, name="a"):
    """Swap a track file and its digest, as a faulty writer would."""
    (folder / "bsseval_v4" / "test" / f"{name}.json").write_bytes(content)
    place = ("protocols", "bsseval_v4", "files", f"test/{name}.json")
    folders.edit(folder, *place, value=sha256(content))


def test_a_run_is_read_with_its_frames_and_nan(folders):
    folders.write({"b": {"vocals": [1.0, math.nan]}, "a": {"vocals": [2.0]}})
    (run,) = read_runs([folders.root])
    assert run.id == "demo_small/ours/seed0"
    assert (run.ours_leaves, run.parameters, run.verbatim) == (7, 1_234_567, True)
    (scores,) = run.scores
    assert [track.track for track in scores.tracks] == ["a", "b"]
    assert scores.tracks[0].frames["vocals", "SDR"].tolist() == [2.0]
    assert math.isnan(scores.tracks[0].step) and scores.tracks[1].step == 1.0
    first, second = scores.tracks[1].frames["vocals", "SDR"]
    assert first == 1.0 and math.isnan(second)


def test_nan_is_read_as_the_bare_token(folders):
    folder = folders.write({"a": {"vocals": [math.nan]}})
    assert b'{"SDR": NaN}' in (folder / "bsseval_v4" / "test" / "a.json").read_bytes()
    assert len(read_runs([folders.root])) == 1


@pytest.mark.parametrize("name", ["Al James - Schoolboy Facination", "Motörhead's café.v2"])
def test_track_names_are_free(folders, name):
    folders.write({name: {"vocals": [1.0]}})
    (run,) = read_runs([folders.root])
    assert run.scores[0].tracks[0].track == name


def test_hidden_folders_are_passed_over(folders):
    folders.write({"a": {"vocals": [1.0]}})
    (folders.root / "demo_small" / ".cache" / "half").mkdir(parents=True)
    assert len(read_runs([folders.root])) == 1


def test_a_missing_score_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: --scores must name"):
        read_runs([tmp_path / "nowhere"])


def test_an_unfinished_folder_is_passed_over_and_named(folders):
    folders.write({"a": four_stems(1.0)}, run="whole")
    interrupted = folders.write({"a": four_stems(1.0)}, run="interrupted")
    (interrupted / "run.json").unlink()
    cut = folders.write({"a": four_stems(1.0)}, run="cut")
    (cut / "run.json").write_bytes((cut / "run.json").read_bytes()[:-30])
    assert [run.name for run in read_runs([folders.root])] == ["whole"]
    assert find_unfinished([folders.root]) == [cut, interrupted]


@pytest.mark.parametrize("content", [b"{]", b'{"schema" 1}', b"\xff", b"[" * 100_000, b"[1]"])
def test_a_run_json_that_is_no_object_is_named(folders, content):
    folder = folders.write({"a": {"vocals": [1.0]}})
    (folder / "run.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"run\.json: (invalid JSON|the top level is)"):
        read_runs([folders.root])


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("schema",), 2, "field schema is 2: this version reads schema 1"),
        (("schema",), True, "field schema is true: it must be an integer"),
        (
            ("kind",),
            "guess",
            "field kind is 'guess': it must be one of model, blind, baseline, oracle",
        ),
        (("method",), "theirs", "field method is 'theirs', its folder is 'ours'"),
        (("run",), "seed1", "field run is 'seed1', its folder is 'seed0'"),
        (("run",), "a--b", "field run is 'a--b': use letters"),
        (("run",), "", 'field run is "": it must be a non-empty string'),
        (("dataset", "name"), "musdb18hq", "field dataset.name is 'musdb18hq', its folder"),
        (("dataset", "split"), "valid", "field dataset.split is 'valid': boards show only 'test'"),
        (("dataset", "tracks"), ["a", "a"], "field dataset.tracks has a duplicate entry"),
        (("dataset", "tracks"), ["a\ud800"], "field dataset.tracks is .* list of strings"),
        (("verbatim",), "yes", 'field verbatim is "yes": it must be true or false'),
        (("stems",), ["voice"], "field stems names the unknown stem 'voice': use vocals, drums"),
        (("stems",), [], "field stems is .*: it must be a list of strings"),
        (("weights", "parameters"), -1, "field weights.parameters is -1: it must be between 0"),
        (
            ("weights", "parameters"),
            10**30,
            "field weights.parameters is 10+: it must be between",
        ),
        (("cost", "real_time_factor"), 1e999, "real_time_factor is Infinity: it must be a finite"),
        (("cost", "gmac_per_second"), "fast", 'gmac_per_second is "fast": it must be a number'),
        (("leaf_sources",), [1], "field leaf_sources is .*: it must be a JSON object"),
        (("protocols",), {}, "field protocols is empty"),
        (("protocols", "bsseval_v4", "id"), "a/b", "protocols.bsseval_v4.id is 'a/b': use letters"),
        (
            ("protocols", "bsseval_v4", "targets"),
            ["voice"],
            "targets names the unknown stem 'voice'",
        ),
        (("protocols", "bsseval_v4", "unit"), 3, "protocols.bsseval_v4.unit is 3: it must be"),
        (("protocols", "bsseval_v4", "frames"), "mode", "frames is 'mode': it must be one of med"),
    ],
)
def test_a_wrong_field_of_run_json_is_named(folders, path, value, message):
    folder = folders.write({"a": {"vocals": [1.0]}})
    folders.edit(folder, *path, value=value)
    with pytest.raises(ValueError, match=rf"run\.json: .*{message}"):
        read_runs([folders.root])


@pytest.mark.parametrize(
    "path", [("run",), ("reproduces",), ("training", "tracks"), ("protocols", "bsseval_v4", "id")]
)
def test_a_missing_field_of_run_json_is_named(folders, path):
    folder = folders.write({"a": {"vocals": [1.0]}})
    folders.edit(folder, *path, drop=True)
    with pytest.raises(ValueError, match=rf"run\.json: field {'.'.join(path)} is missing"):
        read_runs([folders.root])


def test_a_protocol_may_score_sums_of_what_was_estimated(folders):
    folder = folders.write({"a": {"vocals": [1.0], "accompaniment": [2.0]}}, protocol="sisec18@1")
    folders.edit(folder, "stems", value=["vocals", "drums", "bass", "other"])
    (run,) = read_runs([folders.root])
    assert run.scores[0].protocol.targets == ("accompaniment", "vocals")
    assert run.scores[0].tracks[0].frames["accompaniment", "SDR"] == (2.0,)


def test_one_changed_digit_in_a_score_file_is_found(folders):
    folder = folders.write({"a": {"vocals": [1.25]}})
    file = folder / "bsseval_v4" / "test" / "a.json"
    file.write_bytes(file.read_bytes().replace(b"1.25", b"1.26"))
    with pytest.raises(ValueError, match=r"a\.json: its SHA-256 is .*, run\.json says .* again"):
        read_runs([folders.root])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"targets": [', r"a\.json: invalid JSON"),
        (b"{}", r"a\.json: field targets is missing"),
        (b'{"targets": [3]}', r"field targets\[0\] is 3: it must be a JSON object"),
        (museval_json({}, "SDR"), "field targets lacks the stem 'vocals'"),
        (museval_json({"piano": [1.0]}, "SDR"), r"targets\[0\].name names the unknown stem 'pia"),
        (museval_json({"drums": [1.0]}, "SDR"), r"the unknown stem 'drums': use vocals"),
        (museval_json({"vocals": [1.0]}, "SIR"), r"frames\[0\].metrics.SDR is missing"),
        (museval_json({"vocals": [math.inf]}, "SDR"), "metrics.SDR is Infinity: it must be a fin"),
        (museval_json({"vocals": [None]}, "SDR"), "metrics.SDR is null: it must be a number or"),
    ],
)
def test_a_malformed_score_file_is_named_with_its_field(folders, content, message):
    folder = folders.write({"a": {"vocals": [1.0]}})
    replace_track(folders, folder, content)
    with pytest.raises(ValueError, match=message):
        read_runs([folders.root])


def test_a_stem_listed_twice_is_refused(folders):
    folder = folders.write({"a": {"vocals": [1.0]}})
    targets = json.loads(museval_json({"vocals": [1.0]}, "SDR"))["targets"]
    replace_track(folders, folder, json.dumps({"targets": targets * 2}).encode())
    with pytest.raises(ValueError, match=r"targets\[1\].name is 'vocals' twice"):
        read_runs([folders.root])


def test_a_listed_track_without_a_file_is_named(folders):
    folder = folders.write({"a": {"vocals": [1.0]}, "b": {"vocals": [1.0]}})
    (folder / "bsseval_v4" / "test" / "b.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no file .*b\.json: run\.json lists it"):
        read_runs([folders.root])


def test_a_file_without_a_track_is_named(folders):
    folder = folders.write({"a": {"vocals": [1.0]}})
    shutil.copy(folder / "bsseval_v4/test/a.json", folder / "bsseval_v4/test/b.json")
    with pytest.raises(ValueError, match=r"b\.json: not listed in run\.json"):
        read_runs([folders.root])


def test_a_protocol_must_score_every_test_track(folders):
    folder = folders.write({"a": {"vocals": [1.0]}, "b": {"vocals": [1.0]}})
    folders.edit(folder, "protocols", "bsseval_v4", "files", "test/b.json", drop=True)
    with pytest.raises(ValueError, match=r"files.test/b\.json is missing: .* the same 2 tracks"):
        read_runs([folders.root])


def test_a_protocol_folder_that_run_json_does_not_know_is_named(folders):
    folder = folders.write({"a": {"vocals": [1.0]}})
    (folder / "usdr").mkdir()
    with pytest.raises(ValueError, match=r"protocols.usdr is missing: the folder .*usdr exists"):
        read_runs([folders.root])


def test_one_protocol_id_twice_in_a_run_is_refused(folders):
    folder = folders.write({"a": {"vocals": [1.0]}})
    shutil.copytree(folder / "bsseval_v4", folder / "copy")
    entry = json.loads((folder / "run.json").read_text())["protocols"]["bsseval_v4"]
    folders.edit(folder, "protocols", "copy", value=entry)
    with pytest.raises(ValueError, match=r"protocols.copy.id is 'bsseval_v4@1' twice"):
        read_runs([folders.root])


def test_a_run_in_two_score_folders_is_refused(folders, tmp_path):
    folders.write({"a": four_stems(1.0)})
    shutil.copytree(folders.root, tmp_path / "more")
    with pytest.raises(ValueError, match=r"more.*: run demo_small/ours/seed0 is also in .*scores"):
        read_runs([folders.root, tmp_path / "more"])


def test_runs_come_sorted_whatever_the_order_of_the_folders(folders, tmp_path):
    for run in ("b", "a"):
        folders.write({"a": four_stems(1.0)}, run=run)
    more = ScoreFolders(tmp_path / "more")
    more.write({"a": four_stems(1.0)}, method="another")
    runs = read_runs([folders.root, more.root])
    assert [run.id for run in runs] == [
        f"demo_small/{x}" for x in ("another/seed0", "ours/a", "ours/b")
    ]
    assert [run.id for run in read_runs([more.root, folders.root])] == [run.id for run in runs]


@pytest.mark.parametrize("reverse", [False, True])
def test_of_two_faulty_runs_the_first_by_name_is_reported(folders, monkeypatch, reverse):
    for run in ("a", "b"):
        (folders.write({"a": four_stems(1.0)}, run=run) / "run.json").write_text("{]")
    real = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(sorted(real(self), reverse=reverse)))
    with pytest.raises(ValueError, match=r"ours/a/run\.json: invalid JSON"):
        read_runs([folders.root])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = [
    ("schema",),
    ("kind",),
    ("method",),
    ("verbatim",),
    ("leaf_sources", "ours"),
    ("leaf_sources", "second-hand"),
    ("dataset", "tracks"),
    ("training",),
    ("stems",),
    ("protocols",),
    ("protocols", "bsseval_v4", "files"),
    ("protocols", "bsseval_v4", "files", "test/a.json"),
    ("weights", "parameters"),
    ("cost", "peak_memory_bytes"),
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(FIELDS), json_values)
def test_any_json_in_any_field_is_read_or_refused_with_the_file_named(folders, path, value):
    folder = folders.write({"a": {"vocals": [1.0]}})
    folders.edit(folder, *path, value=value)
    try:
        read_runs([folders.root])
    except (ValueError, FileNotFoundError) as error:
        assert "seed0" in str(error) and ": " in str(error)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_as_a_score_file_are_refused_with_the_file_named(folders, content):
    folder = folders.write({"a": {"vocals": [1.0]}})
    replace_track(folders, folder, content)
    with pytest.raises(ValueError, match=r"a\.json: "):
        read_runs([folders.root])


@pytest.mark.parametrize("label", ["../../other", "a/b", "/etc", "..", "x--y", "a b"])
def test_a_protocols_label_is_no_path(folders, label):
    folder = folders.write({"a": {"vocals": [1.0]}})
    file = folder / "run.json"
    run = json.loads(file.read_bytes())
    run["protocols"][label] = run["protocols"].pop("bsseval_v4")
    shutil.rmtree(folder / "bsseval_v4")
    file.write_text(json.dumps(run))
    with pytest.raises(ValueError, match="a folder's name, is .*: use letters"):
        read_runs([folders.root])


@pytest.mark.parametrize("track", ["..", ".", "../../../../secretdir", "/etc", "a\\b", "a/b"])
def test_a_track_that_would_lead_elsewhere_as_a_path_is_refused(folders, track):
    folder = folders.write({"a": four_stems(1.0)})
    folders.edit(folder, "dataset", "tracks", value=["b", track])
    with pytest.raises(ValueError, match=r"field dataset\.tracks has .*: a name must be a single"):
        read_runs([folders.root])
