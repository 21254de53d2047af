"""Plots, wins and tests between the rows that are shown."""

from itertools import combinations
from random import Random

import pytest
from chromium import ready, why_not
from page_actions import DEMO, OURS, figures, hide, line, order, press, select, show, titles
from page_repo import OUTLIER

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is a browser")


def test_every_plot_is_there_and_follows_stem_and_filter(page):
    assert figures(page) == [
        *("boxes", "groups", "matrix", "heat", "parameters", "real-time-factor", "claims")
    ]
    boxes = page.locator("figure[data-figure=boxes]")
    assert boxes.locator("rect").count() == 7
    select(page, "stem", "bass")
    assert boxes.locator("figcaption").inner_text().startswith("bass SDR by track")
    assert order(page, "bass") == "descending"
    hide(page, "oracle")
    assert boxes.locator("rect").count() == 6


def test_plots_without_content_are_left_out(page, index):
    show(page, index, "musdb18--sdr_as_listed/SDR")
    assert figures(page) == []
    assert not page.locator("#plots-title").is_visible()


def test_box_plots_clip_outliers_and_say_so(page):
    boxes = page.locator("figure[data-figure=boxes]")
    clipped = boxes.locator("path.clipped").count()
    assert clipped >= 6
    assert f"Clipped: {clipped} track scores" in boxes.locator("figcaption").inner_text()
    assert OUTLIER in boxes.locator("path.clipped title").first.text_content()


def test_the_matrix_follows_order_and_filter(page):
    def heads():
        return page.locator(".matrix tbody th").all_inner_texts()

    assert heads() == ["ours seeds0,1", "theirs import", "small_net seed0"]
    assert page.locator(".matrix td.win").count() == 3
    press(page, "average")  # ascending
    assert heads() == ["small_net seed0", "theirs import", "ours seeds0,1"]
    page.locator("#text").fill("s_net")
    ready(page)
    assert "matrix" not in figures(page)
    page.locator("#text").fill("rs")
    ready(page)
    assert heads() == ["theirs import", "ours seeds0,1"]


def test_rows_are_tested_against_a_chosen_one(page):
    line(page, "theirs/import").locator(".open").click()
    page.get_by_role("button", name="Test the other rows").click()
    ready(page)
    figure = page.locator("figure[data-figure=against]")
    assert "against=theirs%2Fimport" in page.url
    rows = [each.inner_text().split("\t") for each in figure.locator("tbody tr").all()]
    assert [row[0] for row in rows] == ["ours seeds0,1", "small_net seed0"]
    assert int(rows[0][1]) > int(rows[0][2]) and float(rows[0][3]) > 0
    assert int(rows[1][1]) < int(rows[1][2]) and float(rows[1][3]) < 0
    assert figure.locator("thead th").last.inner_text() == "p over 2"


def test_holms_correction_over_the_tests_against_one_row(page):
    assert page.evaluate("holm([0.01, 0.04, 0.03, 0.5])") == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert page.evaluate("holm([])") == []


def maximal(alike, count):
    """By trying every subset: sets of two or more of which all are alike, and no more can join."""

    def holds(subset):
        return all(pair in alike for pair in combinations(sorted(subset), 2))

    rows = range(count)
    subsets = [set(each) for size in rows for each in combinations(rows, size + 1) if holds(each)]
    return sorted(
        sorted(each)
        for each in subsets
        if len(each) > 1 and not any(each < other for other in subsets)
    )


def test_sets_of_rows_that_cannot_be_told_apart_are_maximal(page):
    assert maximal({(0, 1), (0, 2), (1, 2), (2, 3)}, 5) == [[0, 1, 2], [2, 3]]
    for seed in range(30):
        random = Random(seed)
        alike = {pair for pair in combinations(range(6), 2) if random.random() < 0.6}
        sets = page.evaluate(
            """(alike) => { const of = (one, other) => {
                const pair = [Math.min(one, other), Math.max(one, other)];
                return { p: alike.some((each) => `${each}` === `${pair}`) ? 0.05 : 0.049 };
            };
            return undecidedSets([0, 1, 2, 3, 4, 5], { of }).map((set) => set.sort()); }""",
            [list(pair) for pair in alike],
        )
        assert sorted(sets) == maximal(alike, 6), seed


def test_two_rows_are_plotted_against_each_other(page):
    select(page, "x", "small_net/seed0")
    assert "paired" not in figures(page)
    select(page, "y", OURS)
    figure = page.locator("figure[data-figure=paired]")
    assert figure.locator("circle").count() == 50
    text = figure.locator("figcaption").inner_text()
    songs = page.evaluate(
        """() => ["small_net/seed0", "ours/seeds0,1"].map((id) =>
            chosen.board.rows.find((row) => row.id === id).songs["average SDR"])"""
    )
    wins = sum(up > across for across, up in zip(*songs, strict=True))
    assert f"ours seeds0,1 is better on {wins} of 50 tracks" in text
    assert " beyond the axes drawn at their ends" in text


def test_the_heat_map_has_a_cell_per_row_and_track(page):
    heat = page.locator("figure[data-figure=heat]")
    assert heat.locator("rect").count() == 7 * 50
    last = heat.locator("rect title").nth(49).text_content()
    assert OUTLIER in last  # the hardest track comes last


def test_few_tracks_give_no_ranks_but_wins_and_differences(page, index):
    show(page, index, DEMO)
    assert "rank" not in titles(page)
    text = page.locator("#separation").inner_text()
    assert text.startswith("6 tracks cannot separate any two of 3 rows, so there are no ranks")
    assert "Friedman's test that all score alike: p " in text
    assert "groups" not in figures(page)
    assert "of 6" in page.locator(".matrix tbody td").nth(1).inner_text()
    select(page, "dataset", "musdb18hq")
    assert not page.locator("#separation").is_visible()


def test_the_plots_are_drawn_anew_for_another_width(page):
    svg = page.locator("figure svg").first
    wide = float(svg.get_attribute("width"))
    page.set_viewport_size({"width": 700, "height": 900})
    page.wait_for_function(
        "wide => document.querySelector('figure svg').getAttribute('width') < wide - 400", arg=wide
    )
    page.set_viewport_size({"width": 1280, "height": 900})
