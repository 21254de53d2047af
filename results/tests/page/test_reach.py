"""The page by keyboard, on a phone, and with enough contrast in both colour schemes."""

import pytest
from chromium import PHONE, pictures, ready, visit, why_not
from page_actions import BOARD, titles

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is a browser")


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


def test_the_head_of_the_table_stays_in_sight(page):
    top = page.locator("#table").bounding_box()["y"]
    page.evaluate("document.querySelector('#table').style.maxHeight = '200px'")
    page.evaluate("document.querySelector('#table').scrollTop = 150")
    head = page.locator("#table thead th").first.bounding_box()["y"]
    assert abs(head - top) < 3


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
