import math
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from score_folders import four_stems, sha256

from mss_results.__main__ import main
from mss_results.board import build_boards
from mss_results.musdb18 import official_tracks
from mss_results.read import read_runs

TABLE = (
    "track,target,frames,SDR\n"
    "a,vocals,3,1.5\na,drums,3,2\na,bass,0,NaN\na,other,3,-4.25\n"
    "b,vocals,2,2.5\nb,drums,2,3\nb,bass,2,4\nb,other,2,5\n"
)


def as_table(folders, content=TABLE, **more):
    """A run whose scores are a table, written over one with a file per track."""
    folder = folders.write({"a": four_stems(1.0), "b": four_stems(2.0)}, **more)
    for file in (folder / "bsseval_v4" / "test").iterdir():
        file.unlink()
    write_table(folders, folder, content)
    return folder


def write_table(folders, folder, content):
    data = content if isinstance(content, bytes) else content.encode()
    (folder / "bsseval_v4" / "tracks.csv").write_bytes(data)
    place = ("protocols", "bsseval_v4", "files")
    folders.edit(folder, *place, value={"tracks.csv": sha256(data)})


def test_a_table_gives_one_value_per_track_target_and_metric(folders):
    as_table(folders)
    (run,) = read_runs([folders.root])
    (scores,) = run.scores
    assert not scores.has_frames and scores.files == {"a": "tracks.csv", "b": "tracks.csv"}
    assert [track.track for track in scores.tracks] == ["a", "b"]
    assert scores.tracks[0].frames["other", "SDR"].tolist() == [-4.25]
    assert math.isnan(scores.tracks[0].frames["bass", "SDR"][0])
    ((row,),) = (board.rows for board in build_boards([run], ()))
    assert (row.cells["vocals", "SDR"].value, row.cells["bass", "SDR"].value) == (2.0, 4.0)
    assert row.notes == ("frames are not here, only a value per track",)


def test_a_table_stands_beside_files_on_tables_and_page(repo, folders, capsys):
    as_table(folders, method="listed", recipe=None, training=None)
    assert main(["build", "--repo", str(repo)]) == 0
    assert main(["verify", "--repo", str(repo)]) == 0
    assert "cells match a recomputation" in capsys.readouterr().out
    results = repo / "results"
    table = (results / "tables" / "demo_small--bsseval_v4@1.md").read_text()
    assert "- listed: frames are not here, only a value per track" in table
    assert "frames are not here" in (results / "site" / "index.html").read_text()
    runs = [file.name for file in (results / "site" / "runs").iterdir()]
    assert len(runs) == 3 and not any("listed" in name for name in runs)


def test_verify_recomputes_the_cells_of_a_table(repo, folders, capsys):
    folder = as_table(folders, method="listed", recipe=None)
    assert main(["build", "--repo", str(repo)]) == 0
    write_table(folders, folder, TABLE.replace("2.5", "3.5"))
    capsys.readouterr()
    assert main(["verify", "--repo", str(repo)]) == 2
    assert "the inputs give" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("b,other,2,5\n", "", "no line for other of 'b'"),
        ("b,other", "c,other", "line 9 names the track 'c'"),
        ("b,other", "b,guitar", "line 9 names the unknown stem 'guitar'"),
        ("b,other", "b,bass", "line 9 gives bass of 'b' again"),
        ("track,", "song,", "line 1 has the columns song,target,frames,SDR: use track,"),
        ("2,2.5", "2,inf", "line 6, column SDR is 'inf': it must be a decimal number"),
        ("2,2.5", "2,", "line 6, column SDR is ''"),
        ("2,2.5", "2.0,2.5", "line 6, column frames is '2.0'"),
        ("b,vocals,2,2.5", "b,vocals,2", "line 6 has 3 columns: use 4"),
        ("b,vocals", '"b"x,vocals', "line 6 is invalid CSV"),
    ],
)
def test_a_faulty_table_is_named_with_its_line(folders, old, new, message):
    assert old in TABLE
    as_table(folders, TABLE.replace(old, new, 1))
    with pytest.raises(ValueError, match=rf"tracks\.csv: .*{re.escape(message)}"):
        read_runs([folders.root])


def test_a_changed_or_missing_table_is_refused(folders):
    folder = as_table(folders)
    file = folder / "bsseval_v4" / "tracks.csv"
    file.write_text(TABLE.replace("1.5", "9.5"))
    with pytest.raises(ValueError, match=r"tracks\.csv: its SHA-256 is"):
        read_runs([folders.root])
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r"no file .*tracks\.csv"):
        read_runs([folders.root])
    file.write_text(TABLE)
    (folder / "bsseval_v4" / "test" / "a.json").write_text("{}")
    with pytest.raises(ValueError, match=r"a\.json: not listed"):
        read_runs([folders.root])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: TABLE + text))
def test_any_bytes_are_read_or_refused_with_the_file_named(folders, content):
    as_table(folders, content)
    try:
        read_runs([folders.root])
    except ValueError as error:
        assert "tracks.csv: " in str(error)
    else:
        assert content.strip() == TABLE.strip()


def test_two_rules_for_silence_under_one_id_are_refused(folders):
    folders.write({"a": four_stems(1.0)}, run="one")
    folder = folders.write({official_tracks()[0]: four_stems(1.0)}, dataset="musdb18", run="two")
    folders.edit(folder, "protocols", "bsseval_v4", "silence", value="another rule")
    runs = read_runs([folders.root])
    with pytest.raises(
        ValueError, match="musdb18/ours/two.*demo_small/ours/one.*an id has one rule"
    ):
        build_boards(runs, ())


def test_the_legend_states_the_rule_of_an_id_once(repo, folders):
    folders.write({"a": four_stems(1.0)}, run="more")
    assert main(["build", "--repo", str(repo)]) == 0
    text = (repo / "results" / "tables" / "demo_small--bsseval_v4@1.md").read_text()
    assert text.count("silence: silent frames are NaN.") == 1
