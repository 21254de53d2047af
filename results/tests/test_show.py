"""Rows against one row, and the picture of a column."""

import re
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from candidates import KEY, SONGS, candidate
from hypothesis import given, settings
from hypothesis import strategies as st
from score_folders import four_stems

from mss_results.__main__ import main
from mss_results.columns import Column, Pair, compare_columns
from mss_results.diagram import cliques

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def ladder(repo, folders):
    """Runs of rising values on ten songs, and four runs on six songs."""
    random = np.random.RandomState(1)
    songs = random.normal(0, 1, 10)
    for place, run in enumerate(("low", "middle", "high")):
        noise = random.normal(0, 0.2, 10)
        scores = {
            f"song {index}": four_stems(place + songs[index] + noise[index]) for index in range(10)
        }
        folders.write(scores, dataset="ten", run=run)
    for run in range(4):
        scores = {f"song {index}": four_stems(run + index) for index in range(6)}
        folders.write(scores, dataset="six", run=f"run{run}", metric="SDR SIR")
    return repo


def show(capsys, repo, *more):
    capsys.readouterr()
    assert main(["show", "--repo", str(repo), *more]) == 0
    return capsys.readouterr().out


def refused(capsys, repo, *more):
    capsys.readouterr()
    assert main(["show", "--repo", str(repo), *more]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err


def test_a_row_is_compared_with_all_others_on_every_board_that_has_it(ladder, capsys):
    text = show(capsys, ladder, "--against", "ours/middle", "--stem", "vocals")
    assert text.startswith("ten, bsseval_v4@1\n") and "six," not in text
    (heading,) = (line for line in text.splitlines() if line.startswith("ours/middle against"))
    assert (
        "2 others in vocals SDR (paired Wilcoxon test, and seeds where there are several;"
        in heading
    )
    assert "p corrected for 2 pairs by Holm, and for all 3 of the column, by which" in heading
    below, above = (
        next(line.split() for line in text.splitlines() if line.startswith(f"ours/{run} "))
        for run in ("high", "low")
    )
    assert below[:6] == ["ours/high", "0.0039", "0.0059", "0", "10", "10"]  # 2 and 3 x 2/1024
    assert above[:6] == ["ours/low", "0.0039", "0.0059", "10", "0", "10"]
    assert re.fullmatch(r"-\d\.\d\d", below[6]) and re.fullmatch(r"\+\d\.\d\d", above[6])


def test_the_average_says_that_it_is_tested_by_bootstrap(ladder, capsys):
    text = show(capsys, ladder, "--against", "ours/low", "--dataset", "ten")
    assert (
        "in average SDR (paired bootstrap of the average shown, and seeds where there are several;"
        in text
    )


def test_where_no_ranks_are_possible_rows_are_compared_with_the_best(ladder, capsys):
    text = show(capsys, ladder, "--dataset", "six")
    assert "ours/run3 against 3 others in average SDR" in text
    assert "ours/run3 against 3 others in average SIR" in text
    assert "with 6 tracks the smallest of these p is never below 0.031 times 3 pairs, 0.094" in text
    assert "intervals are of single differences, not corrected" in text
    (line,) = {line for line in text.splitlines() if line.startswith("ours/run1 ")}
    assert line.split() == ["ours/run1", "0.094", "0.19", *"606", "+2.00", "[+2.00,", "+2.00]"]
    assert "against" not in show(capsys, ladder, "--dataset", "ten").partition("no ranks")[0]


def test_a_metric_is_shown_alone(ladder, capsys):
    text = show(capsys, ladder, "--metric", "SIR")
    assert "SIR in dB" in text and "SDR in dB" not in text and "ten," not in text


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--against", "ours/lowest"), "is compared with no row: use one of ours/high, ours/low, "),
        (("--against", "irm2/irm2"), "is compared with no row"),
        (("--metric", "uSDR"), "no board for --metric uSDR: there are demo_small"),
        (("--stem", "accompaniment"), "no board for --stem accompaniment"),
        (("--diagram", "x.svg"), "--diagram draws one board, there are demo_small--bsseval"),
        (("--diagram", "x.svg", "--dataset", "demo_small"), "no two rows on the same tracks in av"),
    ],
)
def test_what_is_not_there_is_refused_in_a_sentence(
    ladder, capsys, monkeypatch, tmp_path, flags, message
):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, ladder, *flags)
    assert not (tmp_path / "x.svg").exists()


def test_the_picture_has_a_dot_per_row_and_a_bar_per_group(ladder, capsys, tmp_path):
    file = tmp_path / "pictures" / "six.svg"
    out = show(capsys, ladder, "--dataset", "six", "--stem", "bass", "--diagram", str(file))
    assert out == f"wrote {file}\n"
    root = ElementTree.fromstring(file.read_text())
    texts = [each.text for each in root.iter(f"{SVG}text")]
    assert root.find(f"{SVG}title").text == "six, bsseval_v4@1: bass SDR in dB"
    assert [text for text in texts if text.startswith("ours")] == [
        f"ours run{run}" for run in (3, 2, 1, 0)
    ]
    assert "6 tracks cannot separate any two of 4 rows." in texts
    assert len(list(root.iter(f"{SVG}circle"))) == 4 + 4
    bars = [each for each in root.iter(f"{SVG}line") if each.get("stroke-width") == "3"]
    assert len(bars) == 1


def test_bars_join_the_rows_that_the_tests_do_not_tell_apart():
    random = np.random.RandomState(5)
    rows = [
        candidate(f"m{index}", SONGS - 0.12 * index + random.normal(0, 0.3, 50))
        for index in range(8)
    ]
    (column,) = compare_columns(rows)[KEY]
    ids = [row.id for row in rows]
    apart = {frozenset((pair.better, pair.worse)) for pair in column.pairs if pair.corrected < 0.05}
    bars = cliques(ids, column)
    assert len(apart) > 5 and len(bars) > 1
    joined = {frozenset((ids[one], ids[two])) for bar in bars for one, two in combinations(bar, 2)}
    assert joined == {frozenset(pair) for pair in combinations(ids, 2)} - apart


@settings(max_examples=200)
@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6))))
def test_groups_are_those_of_trying_all_subsets(apart):
    ids = [str(index) for index in range(7)]
    apart = {frozenset(map(str, pair)) for pair in apart}
    pairs = tuple(
        Pair(
            one,
            two,
            50,
            p := 0.001 if frozenset((one, two)) in apart else 0.5,
            p,
            (0, 0),
            0.0,
            None,
        )
        for one, two in combinations(ids, 2)
    )
    alike = [
        set(group)
        for size in range(2, 8)
        for group in combinations(range(7), size)
        if not any(frozenset(map(str, pair)) in apart for pair in combinations(group, 2))
    ]
    largest = sorted(
        tuple(sorted(group)) for group in alike if not any(group < more for more in alike)
    )
    assert cliques(ids, Column(tuple(ids), 50, None, pairs)) == largest
