import json
import math
import random
import re
import resource

import pytest
from score_folders import PAPERS

from mss_results.__main__ import main
from mss_results.aggregate import aggregate
from mss_results.board import build_boards
from mss_results.read import read_runs

METRICS = ("SDR", "ISR", "SIR", "SAR")
FOUR = ("drums", "bass", "other", "vocals")
# What eval_mus_track writes if all five are there: vocals and accompaniment come last.
SCENARIOS = {"bsseval_v4@1": FOUR, "sisec18@1": (*FOUR, "accompaniment")}


def museval_files(folder, stems=FOUR, tracks=7, frames=40, seed=1, duration=1.0):
    """Track files with NaN frames that all stems share and one stem that is NaN throughout."""
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for track in range(tracks):
        silent = {frame for frame in range(frames) if chance.random() < 0.3}
        targets = [
            {
                "name": stem,
                "frames": [
                    {
                        "time": float(frame),
                        "duration": duration,
                        "metrics": {
                            metric: math.nan
                            if frame in silent or (track, stem) == (3, "bass")
                            else round(chance.gauss(5, 4), 5)
                            for metric in METRICS
                        },
                    }
                    for frame in range(frames)
                ],
            }
            for stem in stems
        ]
        text = json.dumps({"targets": targets, "museval_version": "0.4.1"}, indent=2)
        (folder / f"Some Band - Song {track}.json").write_text(text)
    return folder


def arguments(folder, scores, *more, protocol="bsseval_v4@1", method="TAK2"):
    return [
        *("import-museval", str(folder), "--method", method, "--dataset", "band"),
        *("--protocol", protocol, "--scores", str(scores), *more),
    ]


def test_an_imported_folder_is_a_run_with_the_same_bytes(tmp_path):
    source = museval_files(tmp_path / "in" / "test").parent
    scores = tmp_path / "scores"
    assert main(arguments(source, scores, "--extra-data", "yes")) == 0
    (run,) = read_runs([scores])
    assert run.id == "band/TAK2/bsseval_v4"
    assert (run.stems, len(run.tracks)) == (("vocals", "drums", "bass", "other"), 7)
    assert (run.training.extra_data, run.training.tracks, run.fingerprint) == (True, None, None)
    for file in source.glob("test/*.json"):
        copied = scores / run.id / "bsseval_v4" / "test" / file.name
        assert copied.read_bytes() == file.read_bytes()
    record = json.loads((scores / run.id / "run.json").read_text())
    assert record["command"].startswith("mss-results import-museval ")
    assert record["versions"] == {"museval": "0.4.1"}


def test_beside_a_test_folder_nothing_else_is_read(tmp_path):
    source = museval_files(tmp_path / "in" / "test", tracks=2).parent
    (source / "about.json").write_text("{")
    museval_files(source / "train", tracks=1, seed=5)
    assert main(arguments(source, tmp_path / "scores")) == 0
    (run,) = read_runs([tmp_path / "scores"])
    assert len(run.tracks) == 2


def test_flat_and_nested_folders_give_the_same_run(tmp_path):
    records = []
    for name, inside in (("flat", "."), ("nested", "test/more")):
        museval_files(tmp_path / name / inside)
        scores = tmp_path / "scores" / name
        assert main(arguments(tmp_path / name, scores)) == 0
        record = json.loads((scores / "band/TAK2/bsseval_v4/run.json").read_text())
        records.append(record["protocols"])
    assert records[0] == records[1]


@pytest.mark.parametrize("protocol", SCENARIOS)
def test_aggregates_equal_musevals_stores(tmp_path, protocol):
    try:
        import museval
    except (ImportError, RuntimeError) as error:  # it raises RuntimeError without ffmpeg
        pytest.skip(f"museval cannot be imported: {error}")
    source = museval_files(tmp_path / "in" / "test", SCENARIOS[protocol]).parent
    assert main(arguments(source, tmp_path / "scores", protocol=protocol)) == 0
    (run,) = read_runs([tmp_path / "scores"])
    store = museval.EvalStore()
    store.add_eval_dir(source)
    theirs = store.agg_frames_tracks_scores()
    cells = aggregate(run.scores[0].protocol, run.scores[0].tracks, run.id)
    ours = {key: cell.value for key, cell in cells.items() if key[0] != "average"}
    assert len(ours) == len(theirs) == 4 * len(SCENARIOS[protocol])
    for (stem, metric), value in ours.items():
        assert value == pytest.approx(theirs[stem, metric], abs=1e-9)
    assert cells["bass", "SDR"].tracks == 6


@pytest.mark.parametrize(
    ("kind", "extra", "row"),
    [
        ("model", (), ("measured", "", None)),
        ("model", ("--extra_data", "no"), ("measured", "no", None)),
        ("model", ("--extra-data", "yes"), ("measured", "yes", None)),
        ("blind", (), ("measured", "blind", ())),
        ("oracle", (), ("oracle", "oracle", ())),
        ("baseline", (), ("baseline", "blind", ())),
    ],
)
def test_what_a_method_learnt_from_stands_in_its_row(tmp_path, kind, extra, row):
    museval_files(tmp_path / "in", tracks=2)
    assert main(arguments(tmp_path / "in", tmp_path / "scores", "--kind", kind, *extra)) == 0
    ((found,),) = (board.rows for board in build_boards(read_runs([tmp_path / "scores"]), ()))
    assert (found.kind, found.extra_data, found.contaminated) == row


def test_a_target_that_one_file_lacks_counts_on_the_others(tmp_path):
    museval_files(tmp_path / "in", tracks=3)
    file = tmp_path / "in" / "Some Band - Song 1.json"
    record = json.loads(file.read_text())
    record["targets"] = [target for target in record["targets"] if target["name"] != "drums"]
    file.write_text(json.dumps(record))
    assert main(arguments(tmp_path / "in", tmp_path / "scores")) == 0
    (run,) = read_runs([tmp_path / "scores"])
    cells = aggregate(run.scores[0].protocol, run.scores[0].tracks, run.id)
    assert (cells["drums", "SDR"].tracks, cells["vocals", "SDR"].tracks) == (2, 3)


def change(folder, old, new):
    file = folder / "Some Band - Song 1.json"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"museval_version": "0.4.1"\n}', "", r"Song 1\.json: invalid JSON"),
        ('"name": "drums"', '"name": "guitar"', r"Song 1\.json: field targets\[0\]\.name names .*"),
        ('"name": "drums"', '"name": "linear_mixture"', "the unknown stem 'linear_mixture'"),
        ('"name": "drums"', '"name": "bass"', r"field targets\[1\]\.name is 'bass' twice"),
        ('"frames": [', '"frames": 7, "x": [', r"targets\[0\]\.frames is 7: it must be a list"),
        ('"SDR"', '"sdr"', r"field targets\[0\]\.frames\[\d+\]\.metrics\.SDR is missing"),
        ('"ISR": ', '"ISR": "9", "x": ', r'metrics\.ISR is "9": it must be a number or NaN'),
        ('"SAR": ', '"SAR": -Infinity, "x": ', r"metrics\.SAR is -Infinity: it must be a finite"),
        (
            '"duration": 1.0',
            '"duration": 2.0',
            r"frames\[0\]\.duration is 2, not 1: .* frames of 1 s",
        ),
        ('"targets"', '"stems"', r"Song 1\.json: field targets is missing"),
    ],
)
def test_a_malformed_file_is_named_and_nothing_is_written(tmp_path, capsys, old, new, message):
    museval_files(tmp_path / "in")
    change(tmp_path / "in", old, new)
    assert main(arguments(tmp_path / "in", tmp_path / "scores")) == 2
    sentence = capsys.readouterr().err
    assert re.search(message, sentence) and sentence.count("\n") == 1
    assert not [path for path in (tmp_path / "scores").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("stems", "protocol", "message"),
    [
        (
            FOUR,
            "sisec18@1",
            "targets has vocals, drums, bass, other, protocol sisec18@1 scores voc",
        ),
        (SCENARIOS["sisec18@1"], "bsseval_v4@1", "protocol bsseval_v4@1 scores vocals, drums, bas"),
        (FOUR, "bsseval_v4.vocals+accompaniment@1", "scores vocals, accompaniment: choose --proto"),
        (FOUR, "usdr@1", "--protocol is 'usdr@1', which museval does not compute"),
        (FOUR, "bsseval_v4", "--protocol is 'bsseval_v4', which museval"),
    ],
)
def test_stems_that_were_not_scored_under_the_protocol_are_refused(
    tmp_path, capsys, stems, protocol, message
):
    museval_files(tmp_path / "in", stems)
    assert main(arguments(tmp_path / "in", tmp_path / "scores", protocol=protocol)) == 2
    assert message in capsys.readouterr().err


def test_places_and_names_that_do_not_fit_are_refused(tmp_path, capsys):
    source, scores = museval_files(tmp_path / "in"), tmp_path / "scores"

    def sentence(*typed, **named):
        assert main(arguments(*typed, **named)) == 2
        return capsys.readouterr().err

    assert "no score files in" in sentence(tmp_path / "empty", scores)
    assert "--method is 'a/b': use letters" in sentence(source, scores, method="a/b")
    assert main(arguments(source, scores)) == 0
    capsys.readouterr()
    assert "TAK2/bsseval_v4 exists: choose another --run" in sentence(source, scores)
    museval_files(source / "test" / "one")
    museval_files(source / "test" / "two")
    assert "is also in" in sentence(source, scores, "--run", "again")
    other_hops = museval_files(tmp_path / "hops")
    change(other_hops, '"time": 1.0', '"time": 0.5')
    assert "frames[1].time is 0.5, not 1" in sentence(other_hops, scores, "--run", "again")


def test_imported_rows_are_ranked_and_said_to_be_unchecked(tmp_path, capsys):
    repo = tmp_path / "repo"
    (repo / "results").mkdir(parents=True)
    (repo / "results" / "papers.csv").write_text(PAPERS)
    for method, seed in (("TAK2", 1), ("UHL2", 2)):
        source = museval_files(tmp_path / method, tracks=50, seed=seed)
        assert main(arguments(source, repo / "results" / "scores", method=method)) == 0
    assert main(["build", "--repo", str(repo)]) == 0
    assert main(["verify", "--repo", str(repo)]) == 0
    text = (repo / "results" / "tables" / "band--bsseval_v4@1.md").read_text()
    assert "| 1-2 | TAK2 |" in text
    assert "- training tracks unknown, hence not checked against the test tracks: " in text


def test_on_a_full_disk_the_file_is_named_and_no_folder_is_left(tmp_path, capsys):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    folder = museval_files(tmp_path / "in")
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        assert main(arguments(folder, tmp_path / "scores")) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    error = capsys.readouterr().err
    assert "File too large" in error and ".partial" not in error
    assert error.startswith(f"mss-results: {tmp_path}/scores/") and ".json: " in error
    assert not list((tmp_path / "scores").glob("*"))


def test_a_track_that_would_lead_elsewhere_as_a_path_is_not_imported(tmp_path, capsys):
    source = museval_files(tmp_path / "in" / "test").parent
    track = source / "test" / "Some Band - Song 1.json"
    track.rename(track.with_name("..\\secret.json"))
    assert main(arguments(source, tmp_path / "scores", "--per_track")) == 2
    assert "a name must be a single part of a path" in capsys.readouterr().err
    assert not (tmp_path / "scores").exists()


@pytest.mark.parametrize("name", ["duration", "time"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_frame_whose_length_is_no_number_is_refused(tmp_path, capsys, name, value):
    source = museval_files(tmp_path / "in" / "test").parent
    file = source / "test" / "Some Band - Song 1.json"
    was = {"duration": '"duration": 1.0', "time": '"time": 0.0'}[name]
    file.write_text(file.read_text().replace(was, f'"{name}": {value}'))
    assert main(arguments(source, tmp_path / "scores")) == 2
    said = capsys.readouterr().err
    assert f"Song 1.json: field targets[0].frames[0].{name} is " in said
    assert not (tmp_path / "scores").exists()
