"""The page in a browser, opened from disk without a network."""

import pytest
from chromium import browser, visit
from page_actions import BOARD, show
from page_repo import TRACKS, write_repo

from mss_results.__main__ import main


@pytest.fixture(scope="session")
def index(tmp_path_factory):
    root = write_repo(tmp_path_factory.mktemp("page") / "repo")
    sounds = root / "sounds" / "musdb18hq" / "ours" / "seed0" / TRACKS[0]
    sounds.mkdir(parents=True)
    (sounds / "vocals.wav").write_bytes(b"")
    assert main(["build", "--repo", str(root), "--audio", str(root / "sounds")]) == 0
    return root / "results" / "site" / "index.html"


@pytest.fixture(scope="session")
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
