"""The table of the page: rows, ranks, sorting, and what a row opens."""

import pytest
from chromium import ready, why_not
from page_actions import OURS, column, count, hide, line, order, press, select, show, titles
from page_repo import TRACKS

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is a browser")


def test_the_board_has_every_row_with_its_marks(page):
    assert count(page) == "10 of 10 rows."
    marks = line(page, "leaky/seed0").locator(".tag").all_inner_texts()
    assert marks[0] == "contaminated 3"
    assert "variant" in line(page, "small_net/wider").inner_text()
    assert line(page, "theirs/import").locator(".tag").first.inner_text() == "?"
    assert "claimed, not run" in line(page, "ours/small:no").inner_text()
    assert page.locator("tr.grey").count() == 1


def test_a_row_is_one_line_high(page):
    heights = page.locator("#table tbody tr").evaluate_all("all => all.map((e) => e.clientHeight)")
    assert len(heights) == 10 and max(heights) < 45


def test_claim_and_measurement_of_a_system_are_one_row(page):
    ours = line(page, OURS)
    assert ours.count() == 1 and line(page, "ours/large:no").count() == 0
    value = ours.locator(".cell").first.inner_text()
    label = ours.locator(".cell").first.get_attribute("aria-label")
    gap = f"{float(value) - 7:.2f}"
    assert f"claimed 7.00, measured {value}, difference {gap}" in label
    cells = dict(zip(titles(page), ours.locator("th, td").all_inner_texts(), strict=True))
    assert (cells["claimed"], cells["difference"]) == ("7.00", gap)


def test_a_claim_without_a_recipe_is_measured_by_the_run_of_the_same_method(page):
    assert column(page, "method").count("theirs import") == 1
    press(page, "vocals")
    cells = line(page, "theirs/import").locator("th, td").all_inner_texts()
    assert dict(zip(titles(page), cells, strict=True))["claimed"] == "5.10"


def test_ranks_belong_to_the_column_that_is_sorted(page):
    assert page.locator("th", has_text="rank").inner_text().split("\n") == ["rank", "average"]
    press(page, "vocals")
    assert page.locator("th", has_text="rank").inner_text().split("\n") == ["rank", "vocals"]
    data = page.evaluate(
        """() => chosen.board.rows.filter((row) => row.cells["vocals SDR"]?.rank)
            .map((row) => [row.id, row.cells["vocals SDR"].rank])"""
    )
    assert len(data) == 3
    for id, (low, high) in data:
        shown = line(page, id).locator("td").first.inner_text()
        assert shown == (str(low) if low == high else f"{low}-{high}")
    press(page, "method")  # not a score: the ranks stay
    assert page.locator("th", has_text="rank").inner_text().split("\n") == ["rank", "vocals"]


def test_a_rank_is_an_interval(page):
    ranks = page.evaluate("[[1, 2], [3, 3], null].map((rank) => rankText({ rank }))")
    assert ranks == ["1-2", "3", ""] and page.evaluate("rankText(undefined)") == ""


def test_sorting_by_a_stem_puts_the_best_first_then_missing_ones_then_bounds(page):
    press(page, "drums")
    competing = [float(cell) for cell in column(page, "drums")[:5] if cell]
    assert competing == sorted(competing, reverse=True) and len(competing) == 5
    assert column(page, "kind")[-2:] == ["oracle", "baseline"]
    assert order(page, "drums") == "descending"
    page.keyboard.press("Enter")  # the button keeps the focus
    ready(page)
    assert [float(cell) for cell in column(page, "drums")[:5]] == competing[::-1]
    assert order(page, "drums") == "ascending"
    press(page, "method")
    assert column(page, "method")[0] == "Extra Net"


def test_a_claim_opens_its_source_with_links(page):
    row = line(page, "Extra Net:yes")
    assert row.locator("a").get_attribute("href") == "https://arxiv.org/abs/1901.00001"
    row.locator(".open").click()
    text = page.locator("dialog").inner_text()
    assert "arXiv 1901.00001, page 7" in text and "Extra Net" in text and "2019" in text
    page.get_by_role("button", name="Close").click()
    assert not page.locator("dialog").is_visible()


def test_seeds_are_counted(page):
    seeds = dict(zip(column(page, "method"), column(page, "seeds"), strict=True))
    assert seeds["ours seeds0,1"].startswith("mean of 2 seeds, ")
    assert seeds["small_net seed0"] == "1 seed"
    assert seeds["Extra Net"] == ""


def test_a_row_opens_its_run_and_a_track_its_frames(page):
    line(page, OURS).locator(".open").click()
    dialog = page.locator("dialog")
    text = dialog.inner_text()
    assert "ours seeds0,1" in text and "claimed" in text
    for part in ("command", "evaluate", "recipe", "weights digest", "d" * 64, "a" * 64):
        assert part in text
    assert [each.inner_text() for each in dialog.locator("dl a").all()][:2] == ["seed0", "seed1"]
    assert dialog.locator(".tracks tbody tr").count() == 50
    dialog.get_by_role("button", name=TRACKS[0]).click()
    page.locator("#track h3").wait_for()
    assert page.locator("#track svg path").count() == 4
    assert page.locator("#track audio").count() == 1
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.className") == "open"


def test_frames_of_a_protocol_without_frames(page, index):
    show(page, index, "demo_small--usdr@1/uSDR")
    assert "not comparable with MUSDB18-HQ" in page.locator("#about").inner_text()
    page.locator(".cell").first.click()
    page.locator("dialog .pick").first.click()
    page.locator("#track h3").wait_for()
    assert "there are no frames to draw" in page.locator("#track").inner_text()


def test_the_page_shows_the_numbers_of_the_markdown_table(page, index):
    text = (index.parent.parent / "tables" / "musdb18hq--bsseval_v4@1.md").read_text()
    table = [line.split(" | ") for line in text.split("ISR in dB")[0].splitlines() if "|" in line]
    place = table[0].index("average")
    averages = [line[place].split(" ")[0] for line in table if "measured" in line]
    for kind in ("claimed", "oracle", "baseline", "variant"):
        hide(page, kind)
    assert len(averages) == 4 and column(page, "average") == averages


def test_rows_without_the_metric_are_counted(page):
    select(page, "metric", "SIR")
    assert page.url.endswith("#musdb18hq--bsseval_v4@1/SIR")
    assert count(page) == "7 of 7 rows. 3 rows without SIR."
