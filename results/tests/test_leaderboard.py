"""leaderboard.csv read back: types, rows by value, a frame, and files that are none."""

import builtins
import csv
import random
from pathlib import Path
from typing import Any

import pytest

from mss_results import Leaderboard, read_leaderboard
from mss_results.tables import LEADERBOARD_COLUMNS

BOARD = Path(__file__).parents[1] / "leaderboard.csv"
ROW = dict.fromkeys(LEADERBOARD_COLUMNS, "") | {
    "dataset": "demo_small",
    "protocol": "usdr@1",
    "method": "tiny",
    "verbatim": "false",
    "stem": "vocals",
    "metric": "uSDR",
    "value": "-1.5",
    "rank_low": "2",
    "tracks": "6",
    "kind": "measured",
}


def write(path: Path, *rows: dict[str, str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, LEADERBOARD_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_the_repositorys_board_is_read_as_it_is() -> None:
    board = read_leaderboard()
    with BOARD.open(encoding="utf-8", newline="") as file:
        lines = [*csv.DictReader(file)]
    assert len(board) == len(lines) > 100
    for row, line in zip(board, lines, strict=True):
        assert (row.dataset, row.method, row.source) == (
            line["dataset"],
            line["method"],
            line["source"],
        )
        assert row.value is None or f"{row.value:.3f}" == line["value"]


def test_cells_have_their_types_and_nothing_is_none(tmp_path: Path) -> None:
    [row] = read_leaderboard(write(tmp_path / "board.csv", ROW))
    assert (row.value, row.rank_low, row.tracks, row.verbatim) == (-1.5, 2, 6, False)
    assert (row.rank_high, row.contaminated, row.ci_low, row.recipe) == (None, None, None, "")


def test_a_board_says_what_it_is(tmp_path: Path) -> None:
    one = read_leaderboard(write(tmp_path / "board.csv", ROW, {**ROW, "stem": "drums"}))
    assert repr(one) == "<Leaderboard of demo_small, usdr@1: cells 2, methods 1>"
    several = read_leaderboard(write(tmp_path / "board.csv", ROW, {**ROW, "dataset": "musdb18"}))
    assert repr(several) == "<Leaderboard of 2 boards: cells 2, methods 1>"
    assert repr(several.where(stem="bass")) == "<Leaderboard of 0 boards: cells 0, methods 0>"


def test_rows_are_found_by_value(tmp_path: Path) -> None:
    other = {**ROW, "stem": "drums", "value": "3.25"}
    board = read_leaderboard(write(tmp_path / "board.csv", ROW, other))
    assert [row.value for row in board.where(stem="drums", metric="uSDR")] == [3.25]
    assert isinstance(board[:1], Leaderboard) and len(board[1:]) == 1
    with pytest.raises(ValueError, match="there is no column 'stm': choose from dataset"):
        board.where(stm="drums")


def test_a_frame_has_the_columns_of_the_file(tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="pip install pandas")
    frame = read_leaderboard(write(tmp_path / "board.csv", ROW)).to_pandas()
    assert [*frame.columns] == [*LEADERBOARD_COLUMNS] and frame["value"].tolist() == [-1.5]
    assert [*read_leaderboard(write(tmp_path / "empty.csv")).to_pandas().columns] == [
        *LEADERBOARD_COLUMNS
    ]


def test_without_pandas_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "pandas":
            raise ImportError("absent")
        return plain(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match="a frame needs pandas.*: pip install pandas"):
        Leaderboard([]).to_pandas()


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ({"value": "high"}, "line 2, column value reads 'high': build it again"),
        ({"verbatim": "yes"}, "line 2, column verbatim reads 'yes'"),
        ({"tracks": "6.5"}, "line 2, column tracks reads '6.5'"),
    ],
)
def test_a_cell_of_another_type_is_named(
    tmp_path: Path, cell: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_leaderboard(write(tmp_path / "board.csv", {**ROW, **cell}))


def test_what_is_no_leaderboard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match="there is no leaderboard .*none.csv: pass the path"
    ):
        read_leaderboard(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="other.csv has other columns than"):
        read_leaderboard(tmp_path / "other.csv")
    path = write(tmp_path / "board.csv", ROW)
    for end in (",more\n", "\nshort\n"):
        whole = path.read_text(encoding="utf-8")
        (tmp_path / "odd.csv").write_text(whole.rstrip("\n") + end, encoding="utf-8")
        with pytest.raises(ValueError, match=r"line [23] has \d+ of \d+ columns"):
            read_leaderboard(tmp_path / "odd.csv")


def test_odd_bytes_end_in_rows_or_one_sentence(tmp_path: Path) -> None:
    content = write(tmp_path / "board.csv", ROW, ROW).read_bytes()
    choose = random.Random(0)
    for _ in range(300):
        at = choose.randrange(len(content))
        odd = content[:at] + bytes([choose.randrange(256)]) + content[at + choose.randrange(2) :]
        (tmp_path / "odd.csv").write_bytes(odd)
        try:
            read_leaderboard(tmp_path / "odd.csv")
        except ValueError as error:
            assert "\n" not in str(error) and len(str(error)) < 500, str(error)
