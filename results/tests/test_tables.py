import csv
import io
import os
import random
from pathlib import Path

import pytest
from score_folders import PAPERS, four_stems

from mss_results.board import build_boards
from mss_results.build import Paths, plan
from mss_results.claims import read_claims
from mss_results.markdown import markdown, page, terminal
from mss_results.musdb18 import official_tracks
from mss_results.notes import p_value
from mss_results.read import read_runs
from mss_results.tables import fixed, leaderboard_csv, wide_csv


def boards_of(repo):
    results = repo / "results"
    return {
        board.name: board
        for board in build_boards(
            read_runs([results / "scores"]), read_claims(results / "papers.csv")
        )
    }


def records(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (-0.0004, 3, "0.000"),
        (-0.0006, 3, "-0.001"),
        (9.8, 3, "9.800"),
        (float("nan"), 3, ""),
        (None, 3, ""),
    ],
)
def test_numbers_have_fixed_decimals_and_no_negative_zero(value, digits, text):
    assert fixed(value, digits) == text


def test_the_leaderboard_holds_every_cell_with_its_origin(repo):
    lines = records(leaderboard_csv(list(boards_of(repo).values())))
    # 3 runs of four stems and an average, and 3 claims.
    assert len(lines) == 3 * 5 + 3
    (line,) = [each for each in lines if each["method"] == "ours" and each["stem"] == "drums"]
    assert line == {
        "dataset": "demo_small",
        "protocol": "bsseval_v4@1",
        "method": "ours",
        "recipe": "demo",
        "verbatim": "true",
        "stem": "drums",
        "metric": "SDR",
        "value": "3.000",
        "ci_low": "-9.645",
        "ci_high": "15.645",
        "rank_low": "",
        "rank_high": "",
        "seeds": "1",
        "seed_min": "",
        "seed_max": "",
        "tracks": "2",
        "extra_data": "no",
        "contaminated": "false",
        "parameters": "1234567",
        "gmac_per_second": "1.500",
        "real_time_factor": "0.2500",
        "peak_memory_mb": "300.0",
        "kind": "measured",
        "second_hand_leaves": "",
        "ours_leaves": "7",
        "source": "demo_small/ours/seed0",
    }
    kinds = {each["method"]: each["kind"] for each in lines if each["dataset"] == "demo_small"}
    assert kinds == {"ours": "measured", "irm2": "oracle", "mixture": "baseline"}


def test_the_wide_table_puts_claim_and_difference_beside_the_measured_value(folders, papers):
    fifty = dict.fromkeys(official_tracks(), four_stems(3.25))
    folders.write(fifty, dataset="musdb18hq", reproduces="ours/large")
    board = boards_of(folders.root.parent.parent)["musdb18hq--bsseval_v4@1"]
    lines = {(line["recipe"], line["run"]): line for line in records(wide_csv(board))}
    assert set(lines) == {
        ("", ""),
        ("demo", "seed0"),
        ("ours/large", ""),
        ("ours/small", "not run"),
    }
    measured = lines["demo", "seed0"]
    assert measured["average SDR"] == "4.750"
    assert measured["average SDR claimed"] == "5.500"
    assert measured["average SDR difference"] == "-0.750"
    assert "vocals SDR claimed" not in measured
    text = markdown(board)
    assert r"| 4.75 \[4.75, 4.75\] (claimed 5.50, -0.75) | 1 | 50 |" in text
    assert "| ours | ours/small | claimed | not run |" in text
    assert "1. Our paper, table 2\n" in text
    assert "- Other Net: read twice" in text


def test_a_claim_and_the_run_that_measures_it_are_one_line(folders, papers):
    claim = (
        'net,,demo_small,bsseval_v4@1,yes,{},SDR,2.50,77000000,"Their paper, table 1",read off\n'
    )
    papers.write_text(PAPERS + claim.format("vocals") + claim.format("accompaniment"))
    folders.write({"a": four_stems(3.0)}, method="net", metric="SDR SIR", training=None)
    board = boards_of(folders.root.parent.parent)["demo_small--bsseval_v4@1"]
    sdr, sir = markdown(board).split("SIR in dB, higher is better:")
    (line,) = (line for line in sdr.splitlines() if "net" in line)
    assert "| 3.00 (claimed 2.50, +0.50) |" in line and "| claimed 2.50 |" in line
    assert "| yes |" in line and line.endswith("| 1 |")
    assert "1. Their paper, table 1" in sir and "- net: read off" in sir
    assert terminal(board).count("\nnet ") == 2 == terminal(board).count("measured  seed0")


def test_a_claim_without_a_value_in_a_metric_is_not_in_its_table(folders, papers):
    claim = 'singer,,demo_small,bsseval_v4@1,no,vocals,SDR,2.50,,"A paper",\n'
    papers.write_text(PAPERS + claim)
    folders.write({"a": four_stems(3.0)}, metric="SDR SIR")
    board = boards_of(folders.root.parent.parent)["demo_small--bsseval_v4@1"]
    for text, name in ((markdown(board), "| singer |"), (terminal(board), "\nsinger ")):
        sdr, sir = text.split("SIR in dB, higher is better:")
        assert name in sdr and name not in sir


def test_each_metric_has_its_own_table_and_columns(folders, papers):
    folders.write({"a": {"vocals": [1.0], "drums": [2.0]}}, metric="SIR SDR")
    board = boards_of(folders.root.parent.parent)["demo_small--bsseval_v4@1"]
    (line,) = records(wide_csv(board))
    assert (line["vocals SIR"], line["vocals SDR"], line["drums SIR"]) == (
        "1.000",
        "11.000",
        "2.000",
    )
    sdr, sir = markdown(board).split("SIR in dB, higher is better:")
    assert "SDR in dB, higher is better:" in sdr
    assert "| 11.00 | 12.00 |" in sdr and "| 1.00 | 2.00 |" in sir


def test_a_unit_that_is_no_decibel_is_named(repo, folders):
    folders.write(
        {"a": {"vocals": [9.0]}}, protocol="l1_freq@1", metric="L1Freq", unit="of 100", run="b"
    )
    board = boards_of(repo)["demo_small--l1_freq@1"]
    for text in (markdown(board), terminal(board)):
        assert "L1Freq of 100, higher is better:" in text


def test_a_demo_board_says_that_it_is_no_musdb_board(repo):
    boards = boards_of(repo)
    sentence = "Generated demo set: not comparable with MUSDB18-HQ."
    assert sentence in markdown(boards["demo_small--bsseval_v4@1"])
    assert sentence in terminal(boards["demo_small--bsseval_v4@1"])
    assert sentence not in markdown(boards["musdb18hq--bsseval_v4@1"])


def test_variants_stand_below_the_main_table(repo, folders):
    folders.write({"a": four_stems(8.0), "b": four_stems(8.0)}, run="wider", verbatim=False)
    text = markdown(boards_of(repo)["demo_small--bsseval_v4@1"])
    main, variants = text.split("Variants (a recipe with overrides, verbatim: false)")
    assert "wider" not in main and "wider" in variants
    assert "seed0" in main and "seed0" not in variants


def test_a_contaminated_row_is_marked_and_listed(repo, folders):
    training = {
        "dataset": "demo_small",
        "fingerprint": "f" * 64,
        "tracks": [f"track {index}" for index in range(7)] + ["z"],
        "extra_data": False,
        "steps": 1,
    }
    scores = {f"track {index}": four_stems(1.0) for index in range(8)}
    folders.write(scores, run="leaky", training=training)
    text = markdown(boards_of(repo)["demo_small--bsseval_v4@1"])
    assert "| ours (contaminated) | demo | measured | leaky |" in text
    assert (
        "- contaminated: ours leaky was trained or validated on 7 of its 8 test tracks: "
        "track 0, track 1, track 2, track 3, track 4 and 2 more." in text
    )


def test_runs_on_different_data_are_told_apart(repo, folders):
    scores = {"a": four_stems(1.0), "b": four_stems(1.0)}
    board = boards_of(repo)["demo_small--bsseval_v4@1"]
    assert "scored on different data" not in markdown(board)
    folders.write(scores, run="elsewhere", fingerprint="e" * 64)
    text = markdown(boards_of(repo)["demo_small--bsseval_v4@1"])
    assert "2 tracks, fingerprint eeeeeeee: ours elsewhere." in text
    assert "2 tracks, fingerprint ffffffff: irm2 irm2, mixture mixture, ours seed0." in text


def test_a_part_of_the_test_set_is_counted(repo, folders):
    folders.write({official_tracks()[0]: four_stems(1.0)}, dataset="musdb18hq")
    assert "| 1 of 50 |" in markdown(boards_of(repo)["musdb18hq--bsseval_v4@1"])


def test_a_method_keeps_its_rows_and_the_oracle_and_baseline_rows(repo, folders):
    folders.write({"a": four_stems(1.0), "b": four_stems(1.0)}, method="theirs")
    board = boards_of(repo)["demo_small--bsseval_v4@1"]
    text = markdown(board, "ours")
    assert all(f"| {method} |" in text for method in ("ours", "irm2", "mixture"))
    assert "theirs" not in text
    assert "absent: not run." in markdown(board, "absent")


def test_a_board_without_oracle_and_mixture_says_so(repo, folders):
    sentence = "missing on this board: an oracle and the mixture as every stem."
    assert "missing" not in markdown(boards_of(repo)["demo_small--bsseval_v4@1"])
    folders.write({official_tracks()[0]: four_stems(1.0)}, dataset="musdb18hq")
    assert sentence in markdown(boards_of(repo)["musdb18hq--bsseval_v4@1"])


def test_ranks_and_intervals_stand_in_every_table(folders, papers):
    for run, shift in (("best", 3.0), ("good", 0.0), ("same", 0.0)):
        scores = {
            track: four_stems(index / 10 + shift) for index, track in enumerate(official_tracks())
        }
        folders.write(scores, dataset="musdb18hq", run=run)
    board = boards_of(folders.root.parent.parent)["musdb18hq--bsseval_v4@1"]
    ranks = {
        row["run"]: (row["average SDR rank low"], row["average SDR rank high"])
        for row in records(wide_csv(board))
    }
    assert ranks == {"best": ("1", "1"), "good": ("2", "3"), "same": ("2", "3")} | dict.fromkeys(
        ("", "not run"), ("", "")
    )
    text = markdown(board)
    assert "| 1 | ours | demo | measured | best |" in text
    assert "| 2-3 | ours | demo | measured | good |" in text
    assert "- rank: from one plus" in text and "95% interval over tracks" in text
    assert "- rows of one seed: their ranks and intervals are for other songs" in text
    lines = [
        line
        for line in records(leaderboard_csv([board]))
        if (line["stem"], line["kind"]) == ("average", "measured")
    ]
    ends = {
        line["source"].rpartition("/")[2]: (line["rank_low"], line["rank_high"]) for line in lines
    }
    assert ends == {"best": ("1", "1"), "good": ("2", "3"), "same": ("2", "3")}
    assert all(line["ci_low"] < line["value"] < line["ci_high"] for line in lines)


def test_too_few_tracks_for_ranks_are_said_with_friedmans_p(folders, papers):
    for run in range(10):
        scores = {f"song {index}": four_stems(run + index) for index in range(6)}
        folders.write(scores, run=f"run{run}", metric="SDR SIR")
    board = boards_of(folders.root.parent.parent)["demo_small--bsseval_v4@1"]
    text = markdown(board, metric="SDR")
    assert "| rank |" not in text and "- rank:" not in text and "one seed" not in text
    assert (
        "- no ranks: 6 tracks cannot separate any two of 10 rows, as p is at least 0.031 and is "
        "corrected for 45 pairs" in text
    )
    assert r"Friedman's p that all score alike: \< 0.0001 (SDR)." in text
    assert r"\< 0.0001 (SDR), \< 0.0001 (SIR)." in markdown(board)
    assert "no ranks" not in markdown(board, "theirs")


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.2345, "0.23"), (0.0499, "< 0.05"), (0.05, "0.05"), (0.012, "0.012"), (3e-9, "< 0.0001")],
)
def test_a_printed_p_stays_on_its_side_of_the_level(p, text):
    assert p_value(p) == text


def test_several_seeds_have_their_range_in_every_table(folders, papers):
    for seed in (0, 1, 2):
        scores = {f"song {index}": four_stems(seed + index) for index in range(6)}
        folders.write(scores, run=f"demo-seed{seed}", seed=seed, recipe_digest="r" * 64)
    board = boards_of(folders.root.parent.parent)["demo_small--bsseval_v4@1"]
    (line,) = records(wide_csv(board))
    assert (line["run"], line["seeds"], line["average SDR"]) == ("demo-seeds0,1,2", "3", "5.000")
    assert (line["average SDR seed min"], line["average SDR seed max"]) == ("4.000", "6.000")
    (line,) = (each for each in records(leaderboard_csv([board])) if each["stem"] == "bass")
    assert (line["seeds"], line["seed_min"], line["seed_max"]) == ("3", "4.500", "6.500")
    assert line["source"] == "; ".join(f"demo_small/ours/demo-seed{seed}" for seed in range(3))
    text = markdown(board)
    assert "| 3 (4.00 to 6.00) | 6 |" in text and "- several seeds: the mean of the runs" in text


def test_text_from_outside_cannot_break_a_table(folders, papers):
    papers.write_text(PAPERS.replace("Other Net", '"Other | *Net*\n<b>"'))
    text = page(boards_of(folders.root.parent.parent)["musdb18hq--bsseval_v4@1"])
    assert r"| Other \| \*Net\* \<b\> |" in text


def test_ours_leaves_are_counted_and_explained(repo):
    text = markdown(boards_of(repo)["demo_small--bsseval_v4@1"])
    assert "| 7 |" in text
    assert "- ours: number of recipe values" in text


def test_second_hand_leaves_are_counted_where_the_record_has_them(folders, papers):
    counts = {"paper": 20, "code": 5, "second-hand": 3, "ours": 7}
    folders.write({"a": four_stems(1.0)}, run="new", leaf_sources=counts)
    folders.write({"a": four_stems(2.0)}, run="old")
    board = boards_of(folders.root.parent.parent)["demo_small--bsseval_v4@1"]
    found = {row.run: (row.second_hand_leaves, row.ours_leaves) for row in board.rows}
    assert (found["new"], found["old"]) == ((3, 7), (None, 7))
    lines = {
        (each["source"], each["second_hand_leaves"]) for each in records(leaderboard_csv([board]))
    }
    assert lines == {("demo_small/ours/new", "3"), ("demo_small/ours/old", "")}
    text = markdown(board)
    assert "| second-hand | ours |" in text and "| 3 | 7 |" in text and "|  | 7 |" in text
    assert "- second-hand: number of recipe values that others say the paper states" in text


def test_boards_of_older_runs_have_no_column_for_second_hand_values(repo):
    assert "second-hand" not in markdown(boards_of(repo)["demo_small--bsseval_v4@1"])


def test_the_terminal_shows_the_numbers_of_the_table(repo):
    text = terminal(boards_of(repo)["demo_small--bsseval_v4@1"])
    line = next(line for line in text.splitlines() if "seed0" in line)
    assert line.split()[:9] == "ours demo measured seed0 no 2.00 3.00 4.00 5.00".split()


def test_a_board_has_a_picture_where_rows_are_compared(repo, folders, papers):
    paths = Paths((folders.root,), papers, repo / "results", ())

    def pictures() -> dict[str, str]:
        files = {file: text.decode() for file, text in plan(paths).items() if file.suffix == ".svg"}
        return {file.stem: text for file, text in files.items() if file.parent.name == "tables"}

    assert pictures() == {}
    folders.write({"a": four_stems(2.0), "b": four_stems(4.0)}, run="another")
    (board, text) = next(iter(pictures().items()))
    assert board == "demo_small--bsseval_v4@1" and "average SDR in dB" in text
    assert text.startswith("<svg") and text.endswith("</svg>\n") and "ours another" in text


def test_shuffled_files_and_lines_give_the_same_bytes(repo, folders, papers, monkeypatch):
    for seed in range(5):
        folders.write({"b": four_stems(seed), "a": four_stems(1.0)}, run=f"run{seed}")
    paths = Paths((folders.root,), papers, repo / "results", (repo / "README.md",))
    expected = plan(paths)
    assert len(expected) == 2 + 2 * 3 + 1 + 1 + 1 + 2 + 8
    shuffler = random.Random(1)
    header, *lines = PAPERS.splitlines(keepends=True)
    real = Path.iterdir
    walk = os.scandir

    class Shuffled:
        """os.scandir in an order of chance."""

        def __init__(self, folder):
            with walk(folder) as entries:
                self.entries = shuffler.sample(found := list(entries), len(found))

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            pass

        def __iter__(self):
            return iter(self.entries)

    monkeypatch.setattr(os, "scandir", Shuffled)
    monkeypatch.setattr(
        Path, "iterdir", lambda self: iter(shuffler.sample(found := list(real(self)), len(found)))
    )
    for _ in range(5):
        shuffler.shuffle(lines)
        papers.write_text(header + "".join(lines))
        assert plan(paths) == expected
