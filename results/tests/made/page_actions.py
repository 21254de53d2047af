"""What a reader does with the page, and what they see of it."""

from chromium import ready

BOARD = "musdb18hq--bsseval_v4@1/SDR"
DEMO = "demo_small--bsseval_v4@1/SDR"
OURS = "ours/seeds0,1"


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
