"""Ranks of the campaign of 2018: 50 songs, known for a decade, tested here anew."""

from pathlib import Path

import pytest

from mss_results.board import build_boards
from mss_results.read import read_runs

SCORES = Path(__file__).resolve().parents[1] / "scores"


@pytest.fixture(scope="module")
def board():
    boards = {board.name: board for board in build_boards(read_runs([SCORES]), [])}
    return boards["musdb18--sisec18@1"]


def ranks_of(board, stem):
    ranked = {row.method: row.ranks.get((stem, "SDR")) for row in board.rows}
    return {method: str(rank) for method, rank in ranked.items() if rank}


def test_the_best_of_vocals_stand_where_their_songs_put_them(board):
    ranks = ranks_of(board, "vocals")
    assert len(ranks) == 21
    expected = {
        "TAK2": "1-2",
        "TAU1": "1-2",
        "TAK3": "3-4",
        "TAK1": "4-5",
        "UHL3": "3-5",
        "UHL2": "6-10",
        "UHL1": "6-10",
    }
    assert {method: ranks[method] for method in expected} == expected


def test_no_rank_contradicts_a_pair_in_any_column(board):
    assert len(board.columns) == 6 * 4
    for key, (column,) in board.columns.items():
        ranks = {row.id: row.ranks[key] for row in board.rows if key in row.ranks}
        assert set(ranks) == set(column.rows)
        for pair in column.pairs:
            better, worse = ranks[pair.better], ranks[pair.worse]
            if pair.is_significant:
                assert better.low <= worse.high and better.low < worse.high
            elif better.high < worse.low:
                raise AssertionError(f"{pair} in {key}: ordered, but not told apart")


def test_the_average_orders_rows_as_the_table_does(board):
    key = ("average", "SDR")
    value = {row.id: row.cells[key].value for row in board.rows if key in row.cells}
    (column,) = board.columns[key]
    assert max(column.rows, key=value.get) == "TAU1/sisec18"
    for pair in column.pairs:
        assert value[pair.better] > value[pair.worse]
        assert pair.difference == pytest.approx(value[pair.better] - value[pair.worse])
