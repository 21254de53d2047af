"""Downloads from a server on this machine: what breaks off, and what goes on from there."""

import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from mss_shared.checkpoints.published import Published, cache_path, fetch


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: folder / name)
    return folder


def entry(content: bytes, **changes: Any) -> Published:
    values: dict[str, Any] = {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "licence": "MIT",
        "recipe": "demo",
    }
    return Published(**{**values, **changes})


class Server(BaseHTTPRequestHandler):
    """Serves CONTENT on this machine; breaks off after ``most`` bytes of an answer."""

    content = bytes(range(256)) * 40
    ranges = True
    most = len(content)
    asked: list[str | None] = []
    versions: dict[str, str] = {}  # headers that tell one version of the file from another
    moved = 0  # by how much the range that is sent is another than what was asked for

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append(wanted)
        condition = self.headers.get("If-Range")
        if condition is not None and condition not in self.versions.values():
            wanted = None
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        if start >= len(self.content):
            self.send_error(416)
            return
        self.send_response(206 if wanted and self.ranges else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        if wanted and self.ranges:
            first, size = start + self.moved, len(self.content)
            self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
        for name, value in self.versions.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.content[start : start + self.most])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    """An entry whose file a server on this machine has."""
    monkeypatch.setattr(Server, "asked", [])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield entry(Server.content, url=f"http://127.0.0.1:{server.server_port}/vocals.pth")
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("ranges", [True, False], ids=["goes on", "starts again"])
def test_a_download_that_breaks_off_goes_on_where_the_server_can(
    ranges: bool, served: Published, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(Server, "ranges", ranges)
    monkeypatch.setattr(Server, "most", 4096)
    with pytest.raises(FileNotFoundError, match="can't be downloaded"):
        fetch(served)
    part = cache_path(served).with_name(".part-vocals.pth")
    assert part.read_bytes() == Server.content[:4096]
    monkeypatch.setattr(Server, "most", len(Server.content))
    assert fetch(served).read_bytes() == Server.content
    assert Server.asked == [None, "bytes=4096-"]
    assert "resuming after 0.0 MB" in capsys.readouterr().out and not part.exists()


@pytest.mark.parametrize("known", [True, False], ids=["size known", "size unknown"])
def test_a_part_that_is_all_there_is_only_checked(known: bool, served: Published) -> None:
    part = cache_path(served).with_name(".part-vocals.pth")
    part.parent.mkdir(parents=True)
    part.write_bytes(Server.content)
    found = fetch(served if known else replace(served, bytes=None))
    assert found.read_bytes() == Server.content
    assert Server.asked == ([] if known else [f"bytes={len(Server.content)}-"])


def test_a_part_longer_than_the_file_does_not_outlast_a_new_start(
    served: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "ranges", False)
    part = cache_path(served).with_name(".part-vocals.pth")
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(len(Server.content) + 10))
    assert fetch(replace(served, bytes=None)).read_bytes() == Server.content


def test_going_on_from_another_file_is_found_by_its_digest(served: Published) -> None:
    part = cache_path(served).with_name(".part-vocals.pth")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"something else")
    with pytest.raises(ValueError, match="it was removed, try again"):
        fetch(served)
    assert not part.exists()
    assert fetch(served).read_bytes() == Server.content


OLD_TAG, NEW_TAG = {"ETag": '"old"'}, {"ETag": '"new"'}
OLD_DATE = {"Last-Modified": "Fri, 02 Jan 2026 03:04:05 GMT"}
NEW_DATE = {"Last-Modified": "Fri, 02 Jan 2026 03:04:06 GMT"}


def break_off(entry: Published, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a server send 4096 bytes of the content, and all of it from then on."""
    monkeypatch.setattr(Server, "content", content)
    monkeypatch.setattr(Server, "most", 4096)
    with pytest.raises(FileNotFoundError, match="can't be downloaded"):
        fetch(entry, agreed=True)
    monkeypatch.setattr(Server, "most", len(content))


@pytest.mark.parametrize("known", [True, False], ids=["size known", "size unknown"])
@pytest.mark.parametrize(
    ("old", "new", "goes_on"),
    [
        (OLD_TAG, OLD_TAG, True),
        (OLD_TAG, NEW_TAG, False),
        (OLD_DATE, OLD_DATE, True),
        (OLD_DATE, NEW_DATE, False),
        ({"ETag": 'W/"a"', **OLD_DATE}, {"ETag": 'W/"a"', **NEW_DATE}, False),
        ({"ETag": 'W/"a"'}, {"ETag": 'W/"a"'}, None),
        ({}, {}, None),
    ],
)
def test_two_versions_of_a_file_are_never_joined(
    old: dict[str, str],
    new: dict[str, str],
    goes_on: bool | None,
    known: bool,
    served: Published,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The size is the same and no digest is known: only the server can tell them apart."""
    first, second = (save({"a": torch.full((2000,), value)}) for value in (1.0, 2.0))
    wanted = replace(served, sha256=None, bytes=len(first) if known else None)
    monkeypatch.setattr(Server, "versions", old)
    break_off(wanted, first, monkeypatch)
    monkeypatch.setattr(Server, "versions", new)
    monkeypatch.setattr(Server, "content", first if goes_on else second)
    path = fetch(wanted, agreed=True)
    assert path.read_bytes() == Server.content
    assert Server.asked == [None, None if goes_on is None else "bytes=4096-"]
    assert [each.name for each in path.parent.iterdir()] == ["vocals.pth"]


def test_the_version_of_another_address_is_no_reason_to_go_on(
    served: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "versions", OLD_TAG)
    content = save({"a": torch.ones(2000)})
    wanted = replace(served, sha256=None, bytes=len(content))
    break_off(wanted, content, monkeypatch)
    moved = replace(wanted, url=wanted.url.replace("vocals.pth", "again/vocals.pth"))
    assert fetch(moved).read_bytes() == content and Server.asked == [None, None]


@pytest.mark.parametrize("versions", [{}, OLD_TAG], ids=["no version", "a version"])
def test_another_range_than_was_asked_for_is_refused(
    versions: dict[str, str], served: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "versions", versions)
    monkeypatch.setattr(Server, "moved", 1)
    break_off(served, Server.content, monkeypatch)
    with pytest.raises(FileNotFoundError, match="the server sends bytes 4097-10239/10240 in the"):
        fetch(served)
    assert not list(cache_path(served).parent.iterdir())
    assert fetch(served).read_bytes() == Server.content


def test_another_version_in_spite_of_the_condition_is_refused(
    served: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "versions", OLD_TAG)
    content = save({"a": torch.ones(2000)})
    wanted = replace(served, sha256=None, bytes=len(content))
    break_off(wanted, content, monkeypatch)
    monkeypatch.setattr(Server, "versions", {**NEW_TAG, "X-Other": '"old"'})
    with pytest.raises(FileNotFoundError, match='the server sends version "new" in the place of'):
        fetch(wanted)
    assert fetch(wanted).read_bytes() == content


def test_what_was_refused_leaves_no_version_behind(
    served: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "versions", OLD_TAG)
    for other in (entry(b"weights", url=served.url, bytes=None), replace(served, bytes=5000)):
        with pytest.raises((FileNotFoundError, ValueError)):
            fetch(other)
        assert not list(cache_path(served).parent.iterdir())


def test_one_of_several_that_ask_at_once_downloads_for_all(
    served: Published, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    plain = Server.do_GET

    def slowly(self: Server) -> None:
        time.sleep(0.2)  # for the others to come as far as they can
        plain(self)

    monkeypatch.setattr(Server, "do_GET", slowly)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(fetch, served) for _ in range(4)]
        assert {each.result().read_bytes() for each in asked} == {Server.content}
    assert Server.asked == [None]
    said = capsys.readouterr().out
    assert said.count("another process downloads vocals.pth (0.0 MB): waiting for it") == 3


@pytest.mark.parametrize("known", [True, False], ids=["size known", "size from the server"])
def test_a_slow_server_is_seen_to_send(
    known: bool, served: Published, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("mss_shared.console.PLAIN_SECONDS", 0)  # a line for each megabyte
    content = bytes(2_500_000)
    monkeypatch.setattr(Server, "content", content)
    monkeypatch.setattr(Server, "most", len(content))
    large = entry(content, url=served.url, bytes=len(content) if known else None)
    assert fetch(large).stat().st_size == len(content)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" (")[0] for line in lines] == [
        "downloading MB: 1/2 vocals.pth",
        "downloading MB: 2/2 vocals.pth",
    ]
