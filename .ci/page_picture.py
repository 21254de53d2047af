"""Photograph results/site/index.html for the README: python .ci/page_picture.py, with Chromium.

Writes results/page.png. Run it when the page looks different.
"""

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

RESULTS = Path(__file__).parents[1] / "results"
SIZE = {"width": 1200, "height": 760}


def main() -> None:
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        page.goto((RESULTS / "site" / "index.html").as_uri() + "#musdb18--sisec18@1")
        page.wait_for_selector("table")
        page.screenshot(path=RESULTS / "page.png")
        browser.close()


if __name__ == "__main__":
    main()
