"""The page in a browser, opened from disk without a network."""

import pytest
from chromium import PHONE, browser, pictures, visit, why_not
from page_repo import write_repo

from mss_results.__main__ import main

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is a browser")
BOARD = "musdb18hq--bsseval_v4@1/SDR"


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    root = write_repo(tmp_path_factory.mktemp("page") / "repo")
    sounds = root / "sounds" / "musdb18hq" / "ours" / "seed0" / "Band 0 - Song 00"
    sounds.mkdir(parents=True)
    (sounds / "vocals.wav").write_bytes(b"")
    assert main(["build", "--repo", str(root), "--audio", str(root / "sounds")]) == 0
    return root / "results" / "site" / "index.html"


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def opened(chromium, index):
    with visit(chromium, index, anchor=BOARD) as opened:
        yield opened


@pytest.fixture
def page(opened, index):
    """The page as it is when it has just been opened."""
    opened.page.goto("about:blank")
    opened.requests.clear()
    opened.page.goto(f"{index.as_uri()}#{BOARD}")
    yield opened.page
    assert opened.trouble == []
    assert opened.requests and all(url.startswith("file:") for url in opened.requests)


def column(page, title):
    head = page.locator("#table thead th").all_inner_texts()
    place = [text.strip().split("\n")[0] for text in head].index(title)
    cells = page.locator(f"#table tbody tr > :nth-child({place + 1})").all_inner_texts()
    return [cell.split("\n")[0] for cell in cells]


def numbers(page, title):
    return [float(cell) for cell in column(page, title) if cell]


def test_the_board_has_every_row_with_its_marks(page):
    assert page.locator("#count").inner_text() == "12 of 12 rows"
    text = page.locator("#table").inner_text()
    assert "contaminated: 3 test tracks" in text
    assert "variant (verbatim: false)" in text
    assert "training tracks unknown" in text
    assert "ours/small: not run" in text
    assert column(page, "rank")[:5] == ["", "", "", "=1", "=1"]
    assert page.locator("tr.grey").count() == 1
    assert "claimed 7.00, -1.09" in text


def test_sorting_by_a_stem_puts_the_best_first_then_last_and_missing_ones_at_the_end(page):
    head = page.get_by_role("columnheader", name="drums")
    head.get_by_role("button").click()
    first = numbers(page, "drums")
    assert len(first) == 9 and first == sorted(first, reverse=True)
    assert column(page, "drums")[-3:] == ["", "", ""]
    assert head.get_attribute("aria-sort") == "descending"
    page.keyboard.press("Enter")  # the button keeps the focus
    assert numbers(page, "drums") == first[::-1]
    assert head.get_attribute("aria-sort") == "ascending"
    page.get_by_role("columnheader", name="method").get_by_role("button").click()
    assert column(page, "method")[0] == "Extra Net"


def test_filters_leave_the_rows_that_fit(page):
    page.get_by_label("Method").fill("SMALL")
    assert set(column(page, "method")) == {"small_net", "ours"}  # ours/small is a recipe
    page.get_by_label("variants").uncheck()
    page.get_by_label("claimed", exact=True).uncheck()
    assert column(page, "method") == ["small_net"]
    assert page.locator("#count").inner_text() == "1 of 12 rows"
    page.get_by_label("Method").fill("")
    page.get_by_label("oracle and mixture").uncheck()
    assert set(column(page, "method")) == {"ours", "theirs", "small_net", "leaky"}
    page.get_by_label("measured", exact=True).uncheck()
    assert page.locator("#count").inner_text() == "0 of 12 rows"


def test_a_cell_opens_its_run_and_a_track_its_frames(page):
    page.locator("tr.measured .cell").first.click()
    dialog = page.locator("dialog")
    text = dialog.inner_text()
    assert "ours seed0" in text and "tied with ours/seed1" in text
    for part in ("command", "evaluate", "recipe", "weights digest", "d" * 64, "a" * 64):
        assert part in text
    assert dialog.locator("tbody tr").count() == 50
    dialog.get_by_role("button", name="Band 0 - Song 00").click()
    page.locator("#track h3").wait_for()
    assert page.locator("#track svg path").count() == 4
    assert page.locator("#track audio").count() == 1
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.className") == "cell"


def test_a_claim_opens_its_source(page):
    page.locator("tr.claimed .cell").first.click()
    text = page.locator("dialog").inner_text()
    assert "Another paper, page 7" in text and "Extra Net" in text
    page.get_by_role("button", name="Close").click()
    assert not page.locator("dialog").is_visible()


def test_every_plot_is_there_and_follows_stem_and_filter(page):
    captions = page.locator("figcaption").all_inner_texts()
    assert [caption.split("\n")[0] for caption in captions] == [
        "average SDR by track",
        "average SDR against parameters",
        "average SDR against real-time factor",
        "SDR: measured against claimed",
        "average SDR: pairwise comparison",
    ]
    boxes = page.locator("figure").first
    assert boxes.locator("rect").count() == 8
    assert page.locator(".matrix tbody tr").count() == 4
    assert page.locator(".matrix td.win").count() == 5
    page.get_by_label("Stem").select_option("bass")
    assert boxes.locator("figcaption").inner_text().startswith("bass SDR by track")
    page.get_by_label("oracle and mixture").uncheck()
    assert boxes.locator("rect").count() == 6


def test_the_plots_are_drawn_anew_for_another_width(page):
    svg = page.locator("figure svg").first
    wide = float(svg.get_attribute("width"))
    page.set_viewport_size({"width": 700, "height": 900})
    page.wait_for_function(
        "wide => document.querySelector('figure svg').getAttribute('width') < wide - 400", arg=wide
    )
    page.set_viewport_size({"width": 1280, "height": 900})


def test_boards_and_metrics_are_chosen_and_stand_in_the_address(page):
    page.get_by_label("Metric").select_option("SIR")
    assert page.url.endswith("#musdb18hq--bsseval_v4@1/SIR")
    assert page.locator("#count").inner_text() == "8 of 12 rows"
    page.get_by_label("Data set").select_option("demo_small")
    page.get_by_label("Protocol").select_option("usdr@1")
    assert page.locator("#title").inner_text() == "demo_small, usdr@1"
    assert "not comparable with MUSDB18-HQ" in page.locator("#about").inner_text()
    page.locator(".cell").first.click()
    page.locator("dialog .pick").first.click()
    page.locator("#track h3").wait_for()
    assert "there are no frames to draw" in page.locator("#track").inner_text()


def test_the_keyboard_reaches_the_table_and_every_control_has_a_name(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the table"
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, a, svg, [role=region]")]
            .filter((node) => !(node.getAttribute("aria-label") || node.textContent.trim()
                || node.labels?.length || node.getAttribute("aria-labelledby"))).length"""
    )
    assert unnamed == 0


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_scrolls_the_table_and_not_the_page(chromium, index, dark):
    with visit(chromium, index, PHONE, dark, BOARD) as opened:
        page = opened.page
        wide, shown = page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert wide <= shown == PHONE[0]
        table, region = page.evaluate(
            "['#table table', '#table'].map((each) => document.querySelector(each).offsetWidth)"
        )
        assert table > region
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")
        assert opened.trouble == []


def test_pictures_are_made(chromium, index, tmp_path):
    made = pictures(chromium, index, tmp_path, BOARD)
    assert len(made) == 8 and all(file.stat().st_size > 10_000 for file in made)


def test_the_page_shows_the_numbers_of_the_markdown_table(page, index):
    text = (index.parent.parent / "tables" / "musdb18hq--bsseval_v4@1.md").read_text()
    table = [line.split(" | ") for line in text.split("ISR in dB")[0].splitlines() if "|" in line]
    place = table[0].index("average")
    averages = [line[place].split(" ")[0] for line in table if "measured" in line]
    page.get_by_label("claimed", exact=True).uncheck()
    page.get_by_label("oracle and mixture").uncheck()
    page.get_by_label("variants").uncheck()
    assert len(averages) == 5 and column(page, "average") == averages
