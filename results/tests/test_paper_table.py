import csv
import io

import pytest
from score_folders import PAPERS, four_stems

from mss_results.__main__ import main

BOARD = "demo_small--bsseval_v4@1"


@pytest.fixture
def print_table(repo, folders, capsys):
    """Prints a table of the board; returns stdout and stderr."""
    folders.write({"a": four_stems(4.0), "b": four_stems(4.0)}, method="better", run="one")
    folders.write({"a": four_stems(1.0), "b": four_stems(1.0)}, method="ours", run="seed1")
    vocals = {"a": {"vocals": [7.0]}, "b": {"vocals": [8.0]}}
    folders.write(vocals, method="singer", run="one")
    folders.write({"a": four_stems(9.0)}, method="other_metric", run="one", metric="SIR")

    def run(*words, status=0):
        capsys.readouterr()
        assert main(["table", BOARD, *words, "--repo", str(repo)]) == status
        return capsys.readouterr()

    return run


def test_markdown_holds_the_rows_asked_for_in_their_order(print_table):
    printed = print_table("--metric", "SDR", "--rows", "mixture", "ours/seed1", "better")
    assert printed.out.splitlines() == [
        "| method | vocals | drums | bass | other | average |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| mixture | -5.00 | -4.00 | -3.00 | -2.00 | -3.50 |",
        "| ours | 1.00 | 2.00 | 3.00 | 4.00 | 2.50 |",
        "| better | 4.00 | 5.00 | 6.00 | 7.00 | 5.50 |",
    ]
    assert printed.err == ""


def test_a_method_with_two_runs_is_told_apart_by_them(print_table):
    lines = print_table("--rows", "ours", "--columns", "vocals").out.splitlines()
    assert lines[2:] == ["| ours seed0 | 2.00 |", "| ours seed1 | 1.00 |"]


def test_the_best_of_each_column_is_bold_and_an_oracle_does_not_compete(print_table):
    words = ("--rows", "better", "ours/seed0", "singer", "irm2", "--bold", "best")
    lines = print_table(*words, "--columns", "vocals", "average").out.splitlines()
    assert lines[2:] == [
        "| better | 4.00 | **5.50** |",
        "| ours | 2.00 | 3.50 |",
        "| singer | **7.50** |  |",
        "| irm2 | 9.00 | 10.50 |",
    ]
    text = print_table(*words, "--columns", "vocals", "average", "--latex").out
    assert r"{}better & 4.00 & \textbf{5.50} \\" in text and r"{}irm2 & 9.00 & 10.50 \\" in text
    assert text.startswith(r"% demo_small--bsseval_v4@1: needs \usepackage{booktabs}")


def test_rows_without_a_value_of_the_metric_are_left_out_and_said(print_table):
    printed = print_table("--metric", "SDR", "--csv")
    lines = list(csv.DictReader(io.StringIO(printed.out)))
    assert "other_metric" not in {line["method"] for line in lines} and len(lines) == 6
    assert lines[0] == {
        "method": "better",
        "run": "one",
        "kind": "measured",
        "extra_data": "no",
        "contaminated": "false",
        "verbatim": "true",
        "vocals": "4.000",
        "drums": "5.000",
        "bass": "6.000",
        "other": "7.000",
        "average": "5.500",
    }
    assert printed.err == "left out, without a value of SDR: other_metric/one\n"
    assert "| other_metric |" in print_table("--metric", "SIR").out
    printed = print_table("--columns", "drums")
    assert "singer" not in printed.out and "singer/one" in printed.err


def test_a_claim_about_a_measured_method_is_shown_if_it_is_named(print_table, papers):
    claim = 'ours,,demo_small,bsseval_v4@1,no,vocals,SDR,2.50,,"Our paper, table 3",\n'
    papers.write_text(PAPERS + claim)
    assert "claimed" not in print_table("--columns", "vocals").out
    lines = print_table("--columns", "vocals", "--rows", "ours/claimed").out.splitlines()
    assert lines[2:] == ["| ours (claimed) | 2.50 |"]


def test_contaminated_rows_and_variants_are_marked_and_variants_only_shown_by_name(
    print_table, folders
):
    training = {
        "dataset": "demo_small",
        "fingerprint": "f" * 64,
        "tracks": ["a"],
        "extra_data": False,
        "steps": 1,
    }
    scores = {"a": four_stems(8.0), "b": four_stems(8.0)}
    folders.write(scores, method="leaky", run="one", training=training)
    folders.write(scores, method="better", run="wider", verbatim=False)
    words = ("--metric", "SDR", "--columns", "vocals")
    printed = print_table(*words, "--bold", "best")
    assert "wider" not in printed.out and "| leaky (contaminated) | 8.00 |" in printed.out
    assert "| singer | **7.50** |" in printed.out
    assert "left out, variants that --rows may name: better/wider\n" in printed.err
    named = (*words, "--rows", "better/wider", "leaky")
    lines = print_table(*named).out.splitlines()
    assert lines[2:] == ["| better (variant) | 8.00 |", "| leaky (contaminated) | 8.00 |"]
    assert print_table(*words, "--rows", "better").out.endswith("| better | 4.00 |\n")
    found = list(csv.DictReader(io.StringIO(print_table(*named, "--csv").out)))
    assert [(line["contaminated"], line["verbatim"]) for line in found] == [
        ("false", "false"),
        ("true", "true"),
    ]
    text = print_table(*named, "--latex").out
    assert r"better\textsuperscript{v}" in text and r"leaky\textsuperscript{x}" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--metric", "sdr"), "--metric is 'sdr': choose from SDR, SIR"),
        (("--columns", "vocals", "guitar"), "--columns is 'guitar': choose from vocals, drums"),
        (("--columns", "vocals", "vocals"), "--columns names vocals 2 times: name it once"),
        (("--rows", "theirs"), "--rows names 'theirs': demo_small--bsseval_v4@1 has better, ours"),
        (("--columns", "accompaniment"), "--columns is 'accompaniment': choose from"),
        (("--rows", "singer", "--columns", "bass"), "no row of demo_small--bsseval_v4@1 has a v"),
        (("--latex", "--width", "nan"), "for the names in a table of nan: choose fewer"),
        (("--latex", "--width", "90"), "5 columns leave 0 points for the names in a table of 90"),
    ],
)
def test_what_a_board_does_not_have_is_named(print_table, words, message):
    printed = print_table(*words, status=2)
    assert message in printed.err and printed.err.count("\n") == 1 and printed.out == ""


def test_a_missing_board_is_named(repo, capsys):
    assert main(["table", "x--y@1", "--repo", str(repo)]) == 2
    assert "BOARD is 'x--y@1': choose from demo_small--bsseval_v4@1" in capsys.readouterr().err
