"""What is shown, copied as CSV, LaTeX and BibTeX."""

import csv
import io

import pytest
from chromium import ready, why_not
from page_actions import column, press

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is a browser")


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
