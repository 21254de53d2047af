"""Filters and addresses: what they show, and that an address brings it back."""

import pytest
from chromium import ready, visit, why_not
from page_actions import BOARD, DEMO, column, count, figures, hide, order, press, select, show

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is a browser")


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
