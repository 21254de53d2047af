"""Names that a spreadsheet would take for formulas, in every table that is written."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from score_folders import four_stems

from mss_results.board import build_boards
from mss_results.csv_text import csv_text, name_of
from mss_results.markdown import markdown
from mss_results.read import read_runs
from mss_results.recheck import recheck
from mss_results.runs_table import runs_csv
from mss_results.tables import leaderboard_csv, wide_csv
from mss_results.track_table import Line, read_lines, table_bytes

FORMULAS = ["=1+1", "+1+1", "-a", "@SUM(1)", "\t=1", "'=1"]


def cells(text):
    return [cell for line in csv.reader(io.StringIO(text, newline="")) for cell in line]


@pytest.mark.parametrize("name", FORMULAS)
def test_a_name_is_no_formula_and_comes_back(name):
    [cell] = cells(csv_text([[name]]))
    assert cell == f"'{name}" and name_of(cell) == name


@pytest.mark.parametrize("text", ["-1.250", "+3", "1e-05", "-.5", "", "'tis", "a-b", "x=1"])
def test_numbers_and_plain_names_stay_as_they_are(text):
    assert cells(csv_text([[text, "x"]])) == [text, "x"] and name_of(text) == text


@given(st.text(alphabet="'=+-@\t1.ea\\\"\n", max_size=8))
def test_every_cell_comes_back(text):
    written = cells(csv_text([[text, "x"]]))[0]
    assert name_of(written) == text


def test_no_table_has_a_formula_and_they_agree_with_the_scores(folders, tmp_path):
    scores = {"=song": four_stems(-1.0), "b": four_stems(-3.0)}
    folders.write(scores, command="=cmd|' /C calc'!A0", machine="@a")
    boards = build_boards(read_runs([folders.root]), ())
    assert boards
    texts = [leaderboard_csv(boards), runs_csv(boards), *map(wide_csv, boards)]
    for cell in (cell for text in texts for cell in cells(text)):
        assert not cell.startswith(("=", "+", "@", "-")) or float(cell) < 0.0
    assert "'@a" in cells(texts[1]) and "-2.000" in cells(texts[0])
    (tmp_path / "leaderboard.csv").write_text(texts[0])
    assert recheck(tmp_path / "leaderboard.csv", [folders.root], 100, 0) > 0


def test_the_songs_of_a_table_come_back(tmp_path):
    lines = [Line(name, "@drums", 1, (-1.5,)) for name in FORMULAS]
    content = table_bytes(lines, ["SDR"])
    assert not any(cell.startswith(("=", "@")) for cell in cells(content.decode()))
    read = [line for _, _, line in read_lines(content, tmp_path / "tracks.csv", ["SDR"])]
    assert sorted(line.track for line in read) == sorted(FORMULAS)
    assert {line.target for line in read} == {"@drums"}


def test_a_unit_is_shown_in_markdown_as_it_is(folders):
    folders.write({"a": four_stems(1.0)}, unit="<b>|[x](y)")
    [board] = build_boards(read_runs([folders.root]), ())
    assert r"\<b\>\|\[x\](y), higher is better" in markdown(board)
