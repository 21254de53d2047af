"""The 31 systems of SiSEC 2018, against what was published about them."""

import csv
from pathlib import Path

import pytest

from mss_results import sisec18
from mss_results.aggregate import aggregate
from mss_results.board import build_boards
from mss_results.claims import read_claims
from mss_results.markdown import markdown, terminal
from mss_results.read import read_runs

RESULTS = Path(__file__).parent.parent
MEDIANS = RESULTS.parent.parent / "shared" / "data" / "sisec18_medians.csv"


def systems():
    runs = [run for run in read_runs([RESULTS / "scores"]) if run.dataset == "musdb18"]
    found = {run.method: run for run in runs if run.method in sisec18.SYSTEMS}
    assert len(found) == 31
    return found


def cells_of(run):
    (scores,) = run.scores
    return aggregate(scores.protocol, scores.tracks, run.id)


def test_the_committed_systems_are_those_of_the_campaign():
    for method, run in systems().items():
        known = sisec18.SYSTEMS[method]
        (scores,) = run.scores
        assert (run.kind, scores.protocol.id) == (known.kind, known.protocol)
        assert len(run.tracks) == 50 and not scores.has_frames
        assert ("accompaniment" in run.stems) == (known.protocol == "sisec18@1")
        assert (run.training is not None) == (known.kind == "model")
        assert run.training is None or run.training.extra_data == known.extra_data
    extra = {method for method, known in sisec18.SYSTEMS.items() if known.extra_data}
    assert extra == {"STL1", "TAK2", "TAK3", "TAU1", "UHL3"}


def test_the_committed_systems_have_the_published_medians():
    if not MEDIANS.is_file():
        pytest.skip(f"{MEDIANS.name} is not there: it lies outside the repository")
    with MEDIANS.open(encoding="utf-8", newline="") as file:
        published = list(csv.DictReader(file))
    found = {method: cells_of(run) for method, run in systems().items()}
    assert len(published) == 484
    for line in published:
        value = found[line["method"]][line["target"], line["metric"]].value
        assert value == pytest.approx(float(line["median_of_medians"]), abs=1.01e-4), line


def test_claims_and_measurements_of_a_system_agree():
    boards = build_boards(read_runs([RESULTS / "scores"]), read_claims(RESULTS / "papers.csv"))
    compared = 0
    for board in boards:
        if (board.dataset, board.protocol) not in (
            ("musdb18", "sisec18@1"),
            ("musdb18", "bsseval_v4@1"),
        ):
            continue
        claims = {row.method: row for row in board.rows if row.kind == "claimed"}
        for row in board.rows:
            if row.run and row.method in sisec18.SYSTEMS:
                claim = claims[row.method]
                assert claim.extra_data == row.extra_data
                for key, cell in claim.cells.items():
                    assert row.cells[key].value == pytest.approx(cell.value, abs=1.1e-3)
                    compared += 1
    assert compared > 100


def test_each_system_has_one_line_that_says_where_its_claim_is_from():
    boards = build_boards(read_runs([RESULTS / "scores"]), read_claims(RESULTS / "papers.csv"))
    (board,) = (board for board in boards if board.name == "musdb18--sisec18@1")
    for text in (markdown(board), terminal(board)):
        for metric in board.metrics:
            _, _, below = text.partition(f"{metric} in dB, higher is better:")
            table = below.partition("higher is better:")[0].partition("claimed:")[0].splitlines()
            names = [line.replace("|", " ").split() for line in table]
            count = sum(method in words[:2] for words in names for method in sisec18.SYSTEMS)
            assert count == 27
        assert "TAK1, " in text and ": claim and measured row come from the same score fil" in text
    assert "| 6.60 (claimed 6.60, +0.00) |" in markdown(board)
