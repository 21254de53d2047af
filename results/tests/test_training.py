"""What a record says of training songs, and what boards and runs.csv make of it."""

import csv
import io
import json

import pytest
from score_folders import four_stems

from mss_results.board import build_boards
from mss_results.claims import read_claims
from mss_results.read import read_runs
from mss_results.runs_table import runs_csv

CONTENT = {"a": ["1", "2"], "b": ["3"]}


def training(dataset="mine", tracks=("x",), content=None, extra=False, **more):
    heard = {"x": ["9"]} if content is None else content
    return {
        "dataset": dataset,
        "fingerprint": "t",
        "tracks": list(tracks),
        "validation": [],
        "content": heard,
        "extra_data": extra,
        "steps": 1,
    } | more


def model(record, **origin):
    made = {"command": "fit", "commit": "c", "machine": None, "versions": {}} | origin
    return {"stems": ["vocals"], "training": record, "origin": made}


def boards_of(folders, papers):
    boards = build_boards(read_runs([folders.root]), read_claims(papers))
    return {board.name: board for board in boards}


def row_of(folders, papers, models, content=CONTENT, united=None):
    """The row of a run of models, on songs with a content."""
    scores = {"a": four_stems(1.0), "b": four_stems(2.0)}
    folder = folders.write(scores, dataset="bench", training=united, models=models)
    record = json.loads((folder / "run.json").read_text())
    record["dataset"]["content"] = content
    (folder / "run.json").write_text(json.dumps(record))
    (row,) = boards_of(folders, papers)["bench--bsseval_v4@1"].rows
    return row


def test_test_songs_under_another_name_are_found_by_their_content(folders, papers):
    leak = training(tracks=("renamed",), content={"renamed": ["2", "7"]}, extra=True)
    row = row_of(folders, papers, [model(leak)])
    assert (row.contaminated, row.extra_data) == (("a",), "yes")


def test_validating_on_test_songs_contaminates_too(folders, papers):
    leak = training(content={"x": ["9"], "v": ["3"]}, validation=["v"])
    assert row_of(folders, papers, [model(leak)]).contaminated == ("b",)
    leak = training(dataset="bench", validation=["b"])
    assert row_of(folders, papers, [model(leak)]).contaminated == ("b",)


@pytest.mark.parametrize("swap", [False, True])
def test_one_model_of_several_is_enough(folders, papers, swap):
    models = [model(training()), model(training(content={"x": ["1"]}, extra=True))]
    row = row_of(folders, papers, models[::-1] if swap else models)
    assert (row.contaminated, row.extra_data) == (("a",), "yes")


def test_other_songs_are_clean(folders, papers):
    row = row_of(folders, papers, [model(training())])
    assert (row.contaminated, row.extra_data) == ((), "no")


@pytest.mark.parametrize(
    "models",
    [
        [model(None)],
        [model(training()), model(None)],
        [model(training() | {"content": None})],  # an older record, of a set of another name
        [model(training(extra=None) | {"tracks": None})],
    ],
)
def test_what_is_unknown_stays_empty(folders, papers, models):
    row = row_of(folders, papers, models)
    assert (row.contaminated, row.extra_data) == (None, "")


def test_an_older_record_of_the_same_songs_is_compared_by_name(folders, papers):
    older = training(dataset="bench", tracks=("a", "x")) | {"content": None}
    row = row_of(folders, papers, [model(older)], content=None)
    assert (row.contaminated, row.extra_data) == (("a",), "no")


def test_both_commands_and_commits_reach_runs_csv(folders, papers):
    models = [
        model(training(), command="fit vocals", commit="1"),
        model(training("others"), command="fit drums", commit="1"),
    ]
    row_of(folders, papers, models)
    text = runs_csv(tuple(boards_of(folders, papers).values()))
    [line] = [line for line in csv.DictReader(io.StringIO(text)) if line["dataset"] == "bench"]
    assert line["fit_command"] == "fit vocals; fit drums" and line["fit_commit"] == "1"
    assert (line["command"], line["training_data"]) == ("evaluate", "mine; others")
    assert (line["extra_data"], line["contaminated"], line["protocols"]) == (
        "no",
        "false",
        "bsseval_v4@1",
    )


def test_an_imported_systems_word_is_taken(folders, papers):
    declared = training(extra=True) | {"tracks": None, "content": None}
    row = row_of(folders, papers, None, united=declared)
    assert (row.contaminated, row.extra_data) == (None, "yes")
