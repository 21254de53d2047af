"""A headless Chromium that opens the page from disk, notes what goes wrong, takes pictures.

python results/tests/made/chromium.py results/site/index.html PICTURES
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

DESKTOP = (1280, 900)
PHONE = (390, 844)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def why_not() -> str:
    """Why no browser can be used here; empty if one can."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed"
    return "" if _binary() else "chromium is not installed"


def _binary() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass
class Visit:
    """An open page; `trouble` holds console errors and warnings, uncaught errors, failed loads."""

    page: object
    trouble: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def browser() -> Iterator[object]:
    """The machine's Chromium without a window; one at a time."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tools:
        opened = tools.chromium.launch(
            executable_path=_binary(), args=["--no-sandbox", "--hide-scrollbars"]
        )
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def visit(
    chromium: object,
    index: Path,
    size: tuple[int, int] = DESKTOP,
    dark: bool = False,
    anchor: str = "",
) -> Iterator[Visit]:
    """Open a page from disk; a request that leaves the disk is noted, and there is no network."""
    context = chromium.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        has_touch=size == PHONE,
        offline=True,
    )
    try:
        opened = Visit(context.new_page())
        _listen(opened)
        opened.page.goto(index.absolute().as_uri() + (f"#{anchor}" if anchor else ""))
        yield opened
    finally:
        context.close()


def ready(page: object) -> None:
    """Wait until the board that was asked for is shown."""
    page.locator("#main:not([aria-busy]) #table table").wait_for()


def _listen(opened: Visit) -> None:
    page = opened.page
    page.on("request", lambda request: opened.requests.append(request.url))
    page.on("requestfailed", lambda request: opened.trouble.append(f"failed: {request.url}"))
    page.on("pageerror", lambda error: opened.trouble.append(f"uncaught: {error}"))
    page.on(
        "console",
        lambda message: (
            message.type in ("error", "warning")
            and opened.trouble.append(f"{message.type}: {message.text}")
        ),
    )


def pictures(chromium: object, index: Path, out: Path, anchor: str = "") -> list[Path]:
    """Desktop and phone, light and dark, whole page; and the dialog of the first measured cell."""
    out.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    for name, size in (("desktop", DESKTOP), ("phone", PHONE)):
        for dark in (False, True):
            stem = f"{name}-{'dark' if dark else 'light'}"
            with visit(chromium, index, size, dark, anchor) as opened:
                ready(opened.page)
                made += _pair(opened.page, out, stem)
    return made


def _pair(page: object, out: Path, stem: str) -> list[Path]:
    whole, run = out / f"{stem}.png", out / f"{stem}-run.png"
    page.screenshot(path=whole, full_page=True)
    cells = page.locator("tr.measured .open")
    if not cells.count():
        return [whole]
    cells.first.click()
    page.locator("dialog .pick").first.click()
    page.locator("#track h3").wait_for()
    page.screenshot(path=run)
    return [whole, run]


if __name__ == "__main__":
    if why_not():
        sys.exit(f"no pictures: {why_not()}")
    with browser() as started:
        for picture in pictures(started, Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]):
            print(f"wrote {picture}")
