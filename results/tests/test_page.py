"""The page in a browser, opened from disk without a network."""

import csv
import io
from itertools import combinations
from random import Random

import pytest
from chromium import PHONE, browser, pictures, ready, visit, why_not
from page_repo import OUTLIER, TRACKS, write_repo

from mss_results.__main__ import main

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is a browser")
BOARD = "musdb18hq--bsseval_v4@1/SDR"
DEMO = "demo_small--bsseval_v4@1/SDR"
OURS = "ours/seeds0,1"


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    root = write_repo(tmp_path_factory.mktemp("page") / "repo")
    sounds = root / "sounds" / "musdb18hq" / "ours" / "seed0" / TRACKS[0]
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
        opened.page.set_default_timeout(5000)
        yield opened


@pytest.fixture
def page(opened, index):
    """The page as it is when it has just been opened."""
    opened.requests.clear()
    show(opened.page, index, BOARD)
    yield opened.page
    assert opened.trouble == []
    assert opened.requests and all(url.startswith("file:") for url in opened.requests)


def show(page, index, anchor):
    page.goto("about:blank")
    page.goto(f"{index.as_uri()}#{anchor}")
    ready(page)


def titles(page):
    return [text.split("\n")[0] for text in page.locator("#table thead th").all_inner_texts()]


def column(page, title):
    place = titles(page).index(title)
    cells = page.locator(f"#table tbody tr > :nth-child({place + 1})").all_inner_texts()
    return [cell.split("\n")[0] for cell in cells]


def numbers(page, title):
    return [float(cell) for cell in column(page, title) if cell]


def press(page, title):
    page.locator("#table thead").get_by_role("button", name=title, exact=True).click()
    ready(page)


def order(page, title):
    """How the table is sorted by a column."""
    button = page.locator("#table thead").get_by_role("button", name=title, exact=True)
    return button.evaluate("button => button.parentNode.getAttribute('aria-sort')")


def select(page, id, value):
    page.locator(f"#{id}").select_option(value)
    ready(page)


def hide(page, kind):
    page.locator(f"#show-{kind}").uncheck()
    ready(page)


def line(page, id):
    return page.locator(f'#table tr[data-row="{id}"]')


def figures(page):
    return page.locator("figure").evaluate_all("all => all.map((each) => each.dataset.figure)")


def count(page):
    return page.locator("#count").inner_text()


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


def test_filters_leave_the_rows_that_fit_and_say_what_they_hide(page):
    select(page, "extra", "no")
    assert set(column(page, "extra data")) == {"no"}
    assert count(page) == "7 of 10 rows. 3 rows hidden by the filter extra data: no."
    hide(page, "variant")
    assert "1 more row hidden by the filter kind: not variant." in count(page)
    page.get_by_role("button", name="Show all rows").click()
    ready(page)
    assert count(page) == "10 of 10 rows."
    assert not page.get_by_role("button", name="Show all rows").is_visible()
    select(page, "since", "2021")
    assert set(column(page, "year")) == {"2021", "2023"}
    page.locator("#text").fill("SMALL")
    ready(page)
    assert column(page, "method") == ["ours ours/small"]
    assert "hidden by the filter method: SMALL." in count(page)


def test_a_row_that_several_filters_hide_is_counted_once(page):
    page.locator("#text").fill("net")
    select(page, "extra", "no")
    hide(page, "claimed")
    numbers = [int(word) for word in count(page).split() if word.isdigit()]
    assert numbers[1] - numbers[0] == sum(numbers[2:])


@pytest.mark.parametrize(
    "anchor",
    [
        "%E0%A4%A",
        "%",
        "%/%?%=%",
        "//??##",
        f"{BOARD}?sort=%E0%A4%A&against=%&x=%FF",
        "a%00b",
        "[]()",
    ],
)
def test_any_address_opens_a_board(page, index, anchor):
    show(page, index, anchor)
    assert column(page, "method")


def test_without_two_rows_to_compare_none_are_said_to_be_compared(page, index):
    show(page, index, f"{DEMO}?text=nothing+has+this+name")
    said = page.locator("#separation").inner_text()
    assert "cannot separate any two" in said and "are shown instead" not in said
    assert column(page, "method") == []
    show(page, index, DEMO)
    assert "Wins and differences are shown inst" in page.locator("#separation").inner_text()


def test_the_filter_survives_a_change_of_board(page):
    select(page, "extra", "no")
    hide(page, "oracle")
    select(page, "dataset", "demo_small")
    assert page.locator("#title").inner_text() == "demo_small, bsseval_v4@1"
    assert "3 rows hidden by the filter extra data: no." in count(page)
    assert "hidden by the filter kind: not oracle" not in count(page)  # hidden already
    select(page, "dataset", "musdb18")
    assert count(page) == "1 of 1 row."
    assert page.locator("#extra").input_value() == "no"
    assert not page.locator("#show-oracle").is_checked()


def test_rows_without_the_metric_are_counted(page):
    select(page, "metric", "SIR")
    assert page.url.endswith("#musdb18hq--bsseval_v4@1/SIR")
    assert count(page) == "7 of 7 rows. 3 rows without SIR."


def test_back_and_forward_go_through_the_choices(page):
    press(page, "vocals")
    select(page, "extra", "no")
    select(page, "dataset", "demo_small")
    page.go_back()
    page.wait_for_function("document.querySelector('#title').textContent.startsWith('musdb18hq')")
    assert page.locator("#extra").input_value() == "no"
    page.go_back()
    page.wait_for_function("document.querySelector('#extra').value === ''")
    assert order(page, "vocals") != "none"
    page.go_back()
    page.wait_for_function("!location.hash.includes('sort')")
    ready(page)
    assert order(page, "vocals") == "none"
    page.go_forward()
    page.wait_for_function("location.hash.includes('sort=-vocals')")


def test_a_typed_text_is_one_step_back(page):
    page.locator("#text").press_sequentially("leaky")
    ready(page)
    assert "text=leaky" in page.url
    page.go_back()
    page.wait_for_function("document.querySelector('#text').value === ''")
    assert count(page) == "10 of 10 rows."


def test_an_address_restores_board_metric_sort_and_filter(page, index):
    press(page, "year")
    select(page, "metric", "SDR")
    page.locator("#text").fill("net")
    hide(page, "claimed")
    select(page, "stem", "bass")
    select(page, "against", "small_net/seed0")
    before = (page.url, column(page, "method"), count(page), figures(page))
    show(page, index, page.url.split("#")[1])
    assert (page.url, column(page, "method"), count(page), figures(page)) == before


def test_an_address_with_unknown_parts_opens_what_it_can(page, index):
    show(page, index, "no--board/XYZ?sort=nothing&extra=%3Cb%3E&since=abc&against=no/one")
    assert page.locator("#table tbody tr").count() > 0
    assert page.locator("#extra").input_value() == ""


def test_only_what_is_opened_is_loaded(page, opened):
    def scripts():
        return [url.split("site/")[1] for url in opened.requests if url.endswith(".js")]

    assert scripts() == ["boards/musdb18hq--bsseval_v4%401.js"]
    select(page, "dataset", "demo_small")
    assert scripts()[1:] == ["boards/demo_small--bsseval_v4%401.js"]
    page.locator("tr.measured .open").first.click()
    page.locator("dialog .pick").first.click()
    page.locator("#track h3").wait_for()
    assert len(scripts()) == 3 and scripts()[2].startswith("runs/demo_small--bsseval_v4%401--")
    page.keyboard.press("Escape")
    select(page, "dataset", "musdb18hq")
    assert len(scripts()) == 3


def test_a_missing_board_is_a_sentence(chromium, index, tmp_path):
    copy = tmp_path / "index.html"
    copy.write_bytes(index.read_bytes())
    with visit(chromium, copy) as opened:
        opened.page.wait_for_function("document.querySelector('#title').textContent !== ''")
        assert "is missing: run mss-results build" in opened.page.locator("#title").inner_text()


def test_the_table_is_one_tab_stop_and_the_arrows_move_in_it(page):
    assert page.locator("#table [tabindex='0']").count() == 1
    page.locator("#copy-bibtex").focus()
    page.keyboard.press("Tab")

    def place():
        return page.evaluate(
            """() => { const cell = document.activeElement.closest("th, td");
                return [cell.parentNode.rowIndex, cell.cellIndex]; }"""
        )

    assert place() == [0, 0]
    for key, where in [
        ("ArrowDown", [1, 0]),
        ("ArrowRight", [1, 1]),
        ("ArrowRight", [1, 2]),
        ("ArrowUp", [0, 2]),
        ("ArrowLeft", [0, 1]),
        ("Control+End", [10, len(titles(page)) - 1]),
        ("ArrowDown", [10, len(titles(page)) - 1]),
        ("Home", [10, 0]),
        ("PageUp", [0, 0]),
    ]:
        page.keyboard.press(key)
        assert place() == where, key
    assert page.locator("#table [tabindex='0']").count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Shift+Tab")
    assert place() == [0, 0]


def test_the_skip_link_leads_to_the_table_and_leaves_the_board(page):
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('#table') !== null")
    assert page.url.endswith(BOARD)


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


def copied(page, name):
    page.evaluate(
        """() => Object.defineProperty(navigator, "clipboard", { configurable: true,
            value: { writeText: async (text) => { window.copied = text; } } })"""
    )
    page.get_by_role("button", name=name, exact=True).click()
    page.wait_for_function("document.querySelector('#copied').textContent !== ''")
    return page.evaluate("window.copied")


def test_what_is_shown_is_copied_as_csv(page):
    page.locator("#text").fill("net")
    press(page, "vocals")
    rows = list(csv.DictReader(io.StringIO(copied(page, "CSV"))))
    assert [row["method"] for row in rows] == column(page, "method")
    assert rows[0]["vocals"] == "8.100" and rows[0]["year"] == "2021"
    assert page.locator("#copied").inner_text() == f"Copied {len(rows)} rows as CSV."


def test_what_is_shown_is_copied_as_latex(page):
    page.locator("#text").fill("net")
    ready(page)
    text = copied(page, "LaTeX")
    assert text.startswith("% musdb18hq--bsseval_v4@1, SDR; sorted by average; method: net\n")
    assert "small\\_net seed0" in text and "\\toprule" in text
    ends = [each.count("&") for each in text.splitlines() if each.endswith("\\\\")]
    assert len(ends) == 5 and len(set(ends)) == 1


def test_what_is_shown_is_copied_as_bibtex(page):
    text = copied(page, "BibTeX")
    assert text.count("@") == 3
    assert "@article{doe2021,\n  author = {Jane Doe},\n  title = {{Nets \\& more}}" in text
    assert "@inproceedings{ours2023" in text and "@misc{arXiv1901.00001" in text
    assert "% without an entry: " in text and "theirs import" in text
    assert "undefined" not in text


def test_text_that_cannot_be_copied_is_shown(page):
    page.evaluate(
        """() => Object.defineProperty(navigator, "clipboard", { configurable: true,
            value: { writeText: () => Promise.reject(new Error("forbidden")) } })"""
    )
    page.get_by_role("button", name="CSV", exact=True).click()
    field = page.locator("dialog textarea")
    field.wait_for()
    assert field.input_value().startswith("rank (average),method,")


def test_the_plots_are_drawn_anew_for_another_width(page):
    svg = page.locator("figure svg").first
    wide = float(svg.get_attribute("width"))
    page.set_viewport_size({"width": 700, "height": 900})
    page.wait_for_function(
        "wide => document.querySelector('figure svg').getAttribute('width') < wide - 400", arg=wide
    )
    page.set_viewport_size({"width": 1280, "height": 900})


def test_the_head_of_the_table_stays_in_sight(page):
    top = page.locator("#table").bounding_box()["y"]
    page.evaluate("document.querySelector('#table').style.maxHeight = '200px'")
    page.evaluate("document.querySelector('#table').scrollTop = 150")
    head = page.locator("#table thead th").first.bounding_box()["y"]
    assert abs(head - top) < 3


def test_frames_of_a_protocol_without_frames(page, index):
    show(page, index, "demo_small--usdr@1/uSDR")
    assert "not comparable with MUSDB18-HQ" in page.locator("#about").inner_text()
    page.locator(".cell").first.click()
    page.locator("dialog .pick").first.click()
    page.locator("#track h3").wait_for()
    assert "there are no frames to draw" in page.locator("#track").inner_text()


def test_every_control_has_a_name(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the table"
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, a, svg, [role=region]")]
            .filter((node) => !(node.getAttribute("aria-label") || node.textContent.trim()
                || node.labels?.length || node.getAttribute("aria-labelledby"))).length"""
    )
    assert unnamed == 0


CONTRAST = """() => {
    const style = getComputedStyle(document.documentElement);
    const light = (name) => {
        const [r, g, b] = style.getPropertyValue(name).trim().match(/[0-9a-f]{2}/g)
            .map((hex) => parseInt(hex, 16) / 255)
            .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    return ["--ink", "--soft", "--accent", "--measured", "--claimed", "--oracle", "--baseline",
        "--grey"].flatMap((ink) => ["--paper", "--sheet"].map((paper) =>
        [`${ink} on ${paper}`, ratio(light(ink), light(paper))]));
}"""


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_scrolls_the_table_and_not_the_page(chromium, index, dark):
    with visit(chromium, index, PHONE, dark, BOARD) as opened:
        page = opened.page
        ready(page)
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
        ratios = page.evaluate(CONTRAST)
        assert len(ratios) == 16
        assert [name for name, ratio in ratios if ratio < 4.5] == []
        assert opened.trouble == []


def test_rows_of_one_method_can_be_told_apart_on_a_phone(chromium, index):
    with visit(chromium, index, PHONE, anchor=BOARD) as opened:
        ready(opened.page)
        cut = opened.page.evaluate(
            """() => [...document.querySelectorAll("#table tbody .open")]
                .filter((node) => node.scrollWidth > node.clientWidth + 1
                    || node.getClientRects().length === 0
                    || getComputedStyle(node).whiteSpace === "nowrap")
                .map((node) => node.textContent)"""
        )
        names = opened.page.locator("#table tbody .open").all_inner_texts()
        assert cut == [] and "ours\nseeds0,1" in names


def test_pictures_are_made(chromium, index, tmp_path):
    made = pictures(chromium, index, tmp_path, BOARD)
    assert len(made) == 8 and all(file.stat().st_size > 10_000 for file in made)


def test_the_page_shows_the_numbers_of_the_markdown_table(page, index):
    text = (index.parent.parent / "tables" / "musdb18hq--bsseval_v4@1.md").read_text()
    table = [line.split(" | ") for line in text.split("ISR in dB")[0].splitlines() if "|" in line]
    place = table[0].index("average")
    averages = [line[place].split(" ")[0] for line in table if "measured" in line]
    for kind in ("claimed", "oracle", "baseline", "variant"):
        hide(page, kind)
    assert len(averages) == 4 and column(page, "average") == averages
