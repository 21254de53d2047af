import csv
import gzip
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from museval_folders import METRICS, random_songs, write_system

from mss_results import sisec18
from mss_results.__main__ import main
from mss_results.aggregate import aggregate
from mss_results.musdb18 import official_tracks
from mss_results.museval_import import SILENCE
from mss_results.read import read_runs

FOUR = ("vocals", "drums", "bass", "other")
FIVE = (*FOUR, "accompaniment")
NAN = math.nan
COMMITTED = Path(__file__).parent.parent / "scores"


def import_all(folder, scores, *more, protocol="bsseval_v4@1"):
    words = ("--dataset", "band", "--protocol", protocol)
    return main(["import-museval", str(folder), *words, "--scores", str(scores), *more])


def cells(run):
    (scores,) = run.scores
    return aggregate(scores.protocol, scores.tracks, run.id)


def written(scores):
    return sorted(path for path in scores.rglob("*") if path.is_file())


def test_a_folder_of_systems_is_imported_in_one_call(tmp_path, capsys):
    for seed, name in enumerate(("A1", "B2")):
        write_system(tmp_path / "in" / name, random_songs(FOUR, 5.0, seed))
    (tmp_path / "in" / "README.md").write_text("no system")
    assert import_all(tmp_path / "in", tmp_path / "scores", "--extra_data", "yes") == 0
    printed = capsys.readouterr()
    assert printed.out.count("wrote ") == 2 and printed.err == ""
    runs = read_runs([tmp_path / "scores"])
    assert [run.id for run in runs] == ["band/A1/bsseval_v4", "band/B2/bsseval_v4"]
    assert all(run.training.extra_data for run in runs)


def test_if_one_system_is_faulty_none_is_written(tmp_path, capsys):
    write_system(tmp_path / "in" / "A1", random_songs(FOUR, 5.0, 1))
    write_system(tmp_path / "in" / "B2", random_songs(FIVE, 5.0, 2))
    assert import_all(tmp_path / "in", tmp_path / "scores") == 2
    assert "B2: field targets has vocals, drums, bass, other, accomp" in capsys.readouterr().err
    assert not written(tmp_path / "scores")


def test_folders_without_score_files_are_named_and_passed_over(tmp_path, capsys):
    write_system(tmp_path / "in" / "A1", random_songs(FOUR, 5.0, 1))
    (tmp_path / "in" / "B2" / "test").mkdir(parents=True)
    (tmp_path / "in" / ".git").mkdir()
    assert import_all(tmp_path / "in", tmp_path / "scores") == 0
    said = capsys.readouterr().err
    assert said == f"mss-results: {tmp_path / 'in' / 'B2'} is passed over: no score files in it\n"
    assert [run.method for run in read_runs([tmp_path / "scores"])] == ["A1"]
    (tmp_path / "none" / "B2").mkdir(parents=True)
    assert import_all(tmp_path / "none", tmp_path / "scores") == 2
    assert "no folders with score files in" in capsys.readouterr().err


def test_a_folder_of_files_wants_a_method(tmp_path, capsys):
    write_system(tmp_path / "in", random_songs(FOUR, 5.0, 1))
    assert import_all(tmp_path / "in", tmp_path / "scores") == 2
    assert "in holds score files itself: --method must name" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert import_all(tmp_path / "empty", tmp_path / "scores") == 2
    assert "no folders with score files in" in capsys.readouterr().err
    assert import_all(tmp_path / "nowhere", tmp_path / "scores") == 2
    assert "no folder" in capsys.readouterr().err


def test_compressed_files_are_kept_as_they_were_before(tmp_path, capsys):
    folder = write_system(tmp_path / "in", random_songs(FOUR, 5.0, 1))
    for file in (folder / "test").iterdir():
        with gzip.open(f"{file}.gz", "wb") as packed:
            packed.write(file.read_bytes())
        shutil.move(file, tmp_path / file.name)
    scores = tmp_path / "scores"
    assert import_all(folder, scores, "--method", "A1") == 0
    for name in random_songs(FOUR, 5.0, 1):
        kept = scores / "band/A1/bsseval_v4/bsseval_v4/test" / f"{name}.json"
        assert kept.read_bytes() == (tmp_path / f"{name}.json").read_bytes()
    file = next((folder / "test").glob("*.gz"))
    file.write_bytes(file.read_bytes()[:-20])
    assert import_all(folder, scores, "--method", "B2") == 2
    assert ".json.gz: not a complete gzip file (" in capsys.readouterr().err


values = st.floats(-50, 50).map(lambda value: round(value, 5)) | st.just(NAN)
frames = st.lists(st.tuples(values, values, values, values), min_size=1, max_size=6).map(
    lambda rows: dict(zip(FOUR, map(list, zip(*rows, strict=True)), strict=True))
)
names = st.text("abé -", min_size=1, max_size=6).filter(lambda name: name.strip("-") == name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.dictionaries(names, frames, min_size=1, max_size=3), st.booleans())
def test_medians_alone_give_the_same_scores_as_the_files(tmp_path, songs, alone):
    root = tmp_path / "in"
    shutil.rmtree(root, ignore_errors=True)
    write_system(root / "systems" / "A1", songs)
    where = (root / "systems" / "A1", "--method", "A1") if alone else (root / "systems",)
    found = []
    for name, flags in (("whole", ()), ("listed", ("--per_track",))):
        status = import_all(where[0], root / name, *where[1:], *flags)
        found.append((status, cells(*read_runs([root / name])) if status == 0 else None))
    (first, whole), (second, listed) = found
    assert first == second
    if first == 0:
        for key, cell in whole.items():
            assert listed[key].value == pytest.approx(cell.value, abs=5.1e-5, nan_ok=True)
            assert listed[key].tracks == cell.tracks
    else:
        silent = [np.isnan([*stems.values()]).all() for stems in songs.values()]
        assert any(silent)


def test_a_kept_value_has_four_decimals_and_its_frames_are_counted(tmp_path):
    songs = {"a": {stem: [1.0, NAN, 2.12345, 9.0] for stem in FOUR}}
    write_system(tmp_path / "in", songs)
    assert import_all(tmp_path / "in", tmp_path / "scores", "--method", "A1", "--per_track") == 0
    run = tmp_path / "scores/band/A1/bsseval_v4"
    table = (run / "bsseval_v4" / "tracks.csv").read_text().splitlines()
    assert table[0] == "track,target,frames,SDR,ISR,SIR,SAR"
    assert table[1].startswith("a,vocals,3,2.123") and len(table) == 5
    assert [file.name for file in written(run)] == ["tracks.csv", "run.json"]
    record = json.loads((run / "run.json").read_text())
    assert record["command"] == (
        "mss-results import-museval in --method A1 --dataset band --protocol bsseval_v4@1 "
        "--per_track"
    )


def sisec_folder(root, methods):
    """Systems of the campaign with songs of their own, and the table of their medians."""
    lines = [["method", "kind", "track", "target", "frames", *METRICS]]
    for seed, method in enumerate(methods):
        stems = FOUR if sisec18.SYSTEMS[method].protocol == "bsseval_v4@1" else FIVE
        songs = random_songs(stems, 5.0, seed)
        songs = dict(zip(official_tracks(), songs.values(), strict=False))
        write_system(root / method, songs)
        for name, columns in songs.items():
            for stem, column in columns.items():
                present = sorted(value for value in column if not math.isnan(value))
                half = len(present) // 2
                middle = (present[half] + present[~half]) / 2
                row = [f"{middle + place:.6f}" for place in range(4)]
                lines.append([method, "any", name, stem, len(present), *row])
    with (root / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return root


def test_systems_of_sisec_2018_are_known_by_name(tmp_path):
    folder = sisec_folder(tmp_path / "in", ("TAK2", "STL2", "MIX", "IRM1", "REP1"))
    scores = tmp_path / "scores"
    assert main(["import-museval", str(folder), "--sisec18", "--scores", str(scores)]) == 0
    found = {
        run.method: (run.kind, run.training and run.training.extra_data, run.scores[0].protocol.id)
        for run in read_runs([scores])
    }
    assert found == {
        "TAK2": ("model", True, "sisec18@1"),
        "STL2": ("model", False, "bsseval_v4@1"),
        "MIX": ("baseline", None, "sisec18@1"),
        "IRM1": ("oracle", None, "sisec18@1"),
        "REP1": ("blind", None, "sisec18@1"),
    }


def test_files_and_a_table_of_their_medians_give_the_same_runs(tmp_path):
    folder = sisec_folder(tmp_path / "in", ("TAK2", "STL2"))
    for source, flags in ((folder, ["--per_track"]), (folder / "table.csv", [])):
        scores = tmp_path / source.name
        words = ["import-museval", str(source), "--sisec18", *flags, "--scores", str(scores)]
        assert main(words) == 0
    for method, label in (("TAK2", "sisec18"), ("STL2", "bsseval_v4")):
        place = f"musdb18/{method}/{label}/{label}/tracks.csv"
        first, second = (
            (tmp_path / name / place).read_text().splitlines() for name in ("in", "table.csv")
        )
        for one, two in zip(first[1:], second[1:], strict=True):
            assert one.split(",")[:3] == two.split(",")[:3]
            pairs = zip(one.split(",")[3:], two.split(",")[3:], strict=True)
            assert all(float(a) == pytest.approx(float(b), abs=1.01e-4) for a, b in pairs)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("TAK2,any", "TAK9,any", "'TAK9' is none of the 31 systems of SiSEC 2018"),
        ("method,kind", "name,kind", "line 1 has the columns name,kind"),
        (
            ",drums,",
            ",vocals,",
            "line 3 gives vocals of 'AM Contra - Heart Peripheral' of TAK2 again",
        ),
        (",drums,", ",guitar,", "line 3 names the unknown stem 'guitar'"),
    ],
)
def test_a_faulty_table_of_medians_is_refused(tmp_path, capsys, old, new, message):
    table = sisec_folder(tmp_path / "in", ("TAK2",)) / "table.csv"
    table.write_text(table.read_text().replace(old, new, 1))
    words = ["import-museval", str(table), "--sisec18", "--scores", str(tmp_path / "scores")]
    assert main(words) == 2
    assert message in capsys.readouterr().err
    assert not written(tmp_path / "scores")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    st.text(max_size=30).map(str.encode)
    | st.binary(max_size=30)
    | st.tuples(
        st.sampled_from(official_tracks()[:3]) | st.text(max_size=8),
        st.sampled_from(FIVE),
        st.floats(-99, 99),
    ).map(lambda cells: f'TAK2,x,"{cells[0]}",{cells[1]},1{f",{cells[2]:.4f}" * 4}'.encode())
)
def test_any_table_of_medians_is_refused_or_gives_runs_that_can_be_read(tmp_path, content):
    scores = tmp_path / "scores"
    shutil.rmtree(scores, ignore_errors=True)
    header = "method,kind,track,target,frames,SDR,ISR,SIR,SAR\n"
    known = "".join(f"TAK2,x,{official_tracks()[0]},{stem},1,1,1,1,1\n" for stem in FIVE)
    (tmp_path / "table.csv").write_bytes((header + known).encode() + content)
    words = ["import-museval", str(tmp_path / "table.csv"), "--sisec18", "--scores", str(scores)]
    if main(words) == 0:
        assert len(read_runs([scores])) == 1
    else:
        assert not written(scores)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=40), st.booleans())
def test_any_bytes_as_a_file_are_refused_in_one_sentence(tmp_path, capsys, content, packed):
    folder = write_system(tmp_path / "in", {})
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    name = "a.json.gz" if packed else "a.json"
    (folder / name).write_bytes(content)
    assert import_all(folder, tmp_path / "scores", "--method", "A1") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "a.json" in said
    assert not written(tmp_path / "scores")


@pytest.mark.parametrize("version", [7, "1\n"])
def test_a_version_that_is_no_text_is_refused(tmp_path, capsys, version):
    folder = write_system(tmp_path / "in", random_songs(FOUR, 5.0, 1, count=1))
    (file,) = (folder / "test").iterdir()
    file.write_text(json.dumps(json.loads(file.read_text()) | {"museval_version": version}))
    assert import_all(folder, tmp_path / "scores", "--method", "A1") == 2
    assert "field museval_version is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--sisec18", "--dataset", "musdb18"), "--sisec18 says what --dataset would"),
        (("--dataset", "musdb18"), "--protocol is missing: the score files do not say it"),
        (("--protocol", "usdr@1"), "--dataset is missing"),
    ],
)
def test_flags_that_contradict_or_lack_each_other_are_refused(tmp_path, capsys, words, message):
    assert main(["import-museval", str(tmp_path), *words]) == 2
    assert message in capsys.readouterr().err


def test_a_table_without_sisec18_is_refused(tmp_path, capsys):
    (tmp_path / "table.csv").write_text("method\n")
    assert import_all(tmp_path / "table.csv", tmp_path / "scores") == 2
    assert "table.csv is a file: give the folder" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--method", "--dataset", "--run"])
def test_a_name_too_long_for_a_file_is_refused_before_anything_is_written(tmp_path, capsys, flag):
    folder = write_system(tmp_path / "in", random_songs(FOUR, 5.0, 1))
    words = {"--method": "A1", "--dataset": "band", "--protocol": "bsseval_v4@1"}
    typed = [word for pair in (words | {flag: "x" * 220}).items() for word in pair]
    scores = tmp_path / "scores"
    assert main(["import-museval", str(folder), *typed, "--scores", str(scores)]) == 2
    assert "shorten them to 225" in capsys.readouterr().err
    assert not scores.exists()
    typed = [word for pair in (words | {flag: "x" * 150}).items() for word in pair]
    assert main(["import-museval", str(folder), *typed, "--scores", str(scores)]) == 0


def test_the_same_files_under_two_names_are_noted(tmp_path, capsys):
    songs = random_songs(FOUR, 5.0, 1)
    write_system(tmp_path / "in" / "A1", songs)
    write_system(tmp_path / "in" / "B2", songs)
    twice = random_songs(FOUR, 5.0, 2, count=2)
    twice["Some Band - Song 1"] = twice["Some Band - Song 0"]
    write_system(tmp_path / "in" / "C3", twice)
    assert import_all(tmp_path / "in", tmp_path / "scores") == 0
    said = capsys.readouterr().err
    assert "note: A1 and B2 have the same scores for 3 tracks: Some Band - Song 0, " in said
    assert "note: C3 has the same scores under several names: Some Band - Song 0 = Some" in said
    write_system(tmp_path / "later" / "D4", songs)
    assert import_all(tmp_path / "later", tmp_path / "scores") == 0
    assert "note: A1/bsseval_v4 and D4 have the same scores for 3 tr" in capsys.readouterr().err


@pytest.mark.parametrize("per_track", [(), ("--per_track",)])
def test_a_row_above_every_oracle_is_warned_of(tmp_path, capsys, per_track):
    for name, level in (("IRM1", 8.0), ("IRM2", 6.0)):
        folder = write_system(tmp_path / name, {"a": {stem: [level] for stem in FOUR}})
        words = ("--method", name, "--kind", "oracle", *per_track)
        assert import_all(folder, tmp_path / "scores", *words) == 0
    capsys.readouterr()
    high = {"vocals": [8.5], "drums": [7.9], "bass": [NAN], "other": [3.0]}
    write_system(tmp_path / "in" / "A1", {"a": high})
    write_system(tmp_path / "in" / "B2", {"a": {stem: [7.0] for stem in FOUR}})
    assert import_all(tmp_path / "in", tmp_path / "scores", *per_track) == 0
    said = capsys.readouterr().err
    assert said.count("warning:") == 1
    assert "A1 has a higher SDR than every oracle: vocals 8.50 (best oracle: IRM1, 8.00): " in said


SILENT = {stem: [NAN, NAN] for stem in FOUR}
ALONE = {**{stem: [1.0, 2.0] for stem in FOUR}, "bass": [NAN, NAN]}


@pytest.mark.parametrize("per_track", [(), ("--per_track",)])
def test_files_that_tell_two_rules_apart_need_an_id_of_their_own(tmp_path, capsys, per_track):
    folder = write_system(tmp_path / "in", {"a": ALONE, "b": SILENT})
    words = (folder, tmp_path / "scores", "--method", "A1", *per_track)
    assert import_all(*words) == 2
    said = capsys.readouterr().err
    assert "of track 'b' have no score in any frame" in said
    assert "use --protocol bsseval_v4.museval@1" in said and not written(tmp_path / "scores")
    assert import_all(*words, protocol="bsseval_v4.museval@1") == 0
    (run,) = read_runs([tmp_path / "scores"])
    (scores,) = run.scores
    assert scores.protocol.id == "bsseval_v4.museval@1" and scores.label == "bsseval_v4.museval"
    assert "also if it is silent over the whole track" in scores.protocol.silence


@pytest.mark.parametrize(
    ("songs", "protocol"),
    [
        ({"a": ALONE}, "bsseval_v4@1"),
        ({"a": {"vocals": [NAN], "accompaniment": [1.0]}}, "sisec18@1"),
        ({"a": {"vocals": [NAN, NAN]}}, "bsseval_v4.vocals@1"),
    ],
)
def test_files_that_cannot_tell_them_apart_state_the_rule_of_the_id(tmp_path, songs, protocol):
    folder = write_system(tmp_path / "in", songs)
    words = (folder, tmp_path / "scores", "--method", "A1")
    assert import_all(*words, protocol=protocol) == 0
    (run,) = read_runs([tmp_path / "scores"])
    assert run.scores[0].protocol.silence == SILENCE


@pytest.mark.parametrize("group", [FOUR[1:], ("vocals", "accompaniment")])
def test_stems_scored_together_by_sisec18_are_looked_at_together(tmp_path, capsys, group):
    stems = {stem: [NAN if stem in group else 1.0] for stem in FIVE}
    folder = write_system(tmp_path / "in", {"a": stems})
    words = (folder, tmp_path / "scores", "--method", "A1")
    assert import_all(*words, protocol="sisec18@1") == 2
    assert "use --protocol sisec18.museval@1" in capsys.readouterr().err
    assert import_all(*words, protocol="sisec18.museval@1") == 0


def test_the_rule_is_that_of_what_we_measure(tmp_path):
    folder = write_system(tmp_path / "in" / "A1", random_songs(FOUR, 5.0, 1)).parent
    assert import_all(folder, tmp_path / "scores") == 0
    (committed,) = {
        scores.protocol.silence
        for run in read_runs([COMMITTED])
        for scores in run.scores
        if scores.protocol.id == "bsseval_v4@1"
    }
    (run,) = read_runs([tmp_path / "scores"])
    assert run.scores[0].protocol.silence == committed
