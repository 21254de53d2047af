import hashlib
import sys
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import pytest
import torch
from safetensors.torch import save
from tiny_paper.paper import PAPER
from tiny_songs import demo_recipe

from mss_shared.checkpoints import published
from mss_shared.checkpoints.checkpoint import load_checkpoint, load_checkpoints
from mss_shared.checkpoints.published import Published, cache_path, fetch, read_published


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: folder / name)
    return folder


def entry(content: bytes = b"weights", digits: int = 64, **changes: Any) -> Published:
    values: dict[str, Any] = {
        "url": "https://example.org/files/vocals.pth?download=1",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest()[:digits],
        "licence": "MIT",
        "recipe": "demo",
    }
    return Published(**{**values, **changes})


def downloads(monkeypatch: pytest.MonkeyPatch, content: bytes | Exception) -> list[str]:
    """A pooch that writes these bytes, or fails."""
    asked = []

    class HTTPDownloader:
        def __init__(self, progressbar: bool, **_: Any) -> None:
            assert not progressbar

        def __call__(self, url: str, file: BinaryIO, pooch: None) -> None:
            asked.append(url)
            file.write(content if isinstance(content, bytes) else b"half")
            if isinstance(content, Exception):
                raise content

    module = ModuleType("pooch")
    module.HTTPDownloader = HTTPDownloader  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pooch", module)
    return asked


def test_a_file_is_downloaded_once_and_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = downloads(monkeypatch, b"weights")
    path = fetch(entry())
    assert path.name == "vocals.pth" and path.read_bytes() == b"weights"
    assert "licence MIT" in capsys.readouterr().out
    assert fetch(entry()) == path and asked == [entry().url]
    assert [p.name for p in path.parent.iterdir()] == ["vocals.pth"]


def test_files_whose_addresses_end_alike_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    downloads(monkeypatch, b"weights")
    kept = [fetch(entry(file=name)) for name in ("one.pth", "two.pth")]
    assert [path.name for path in kept] == ["one.pth", "two.pth"]
    assert entry(file="one.pth").published_name == "vocals.pth"


@pytest.mark.parametrize("digits", [64, 8])
def test_another_digest_is_refused_and_nothing_is_kept(
    digits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads(monkeypatch, b"other..")
    with pytest.raises(ValueError, match="has 7 bytes with SHA-256 .* it was removed, try again"):
        fetch(entry(digits=digits))
    assert list(cache_path(entry()).parent.iterdir()) == []


def test_without_a_published_digest_the_size_is_checked_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = save({"a": torch.ones(1)})
    downloads(monkeypatch, weights)
    assert fetch(entry(weights, sha256=None)).read_bytes() == weights
    assert "only its size was checked" in capsys.readouterr().out
    cache_path(entry()).unlink()
    with pytest.raises(ValueError, match=r"has \d+ bytes .* should have 0.0 MB with any: it was"):
        fetch(entry(sha256=None, bytes=len(weights) + 1))
    assert fetch(entry(sha256=None, bytes=None), agreed=True).is_file()
    assert "neither size nor digest of vocals.pth is published" in capsys.readouterr().out


def test_a_file_put_there_by_hand_is_checked_too() -> None:
    cache_path(entry()).parent.mkdir(parents=True)
    cache_path(entry()).write_bytes(b"weights")
    assert fetch(entry()) == cache_path(entry())
    cache_path(entry()).write_bytes(b"broken")
    with pytest.raises(ValueError, match="delete it and download it again"):
        fetch(entry())


def test_without_a_network_the_sentence_says_what_where_and_how_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    downloads(monkeypatch, OSError("no route\nto host"))
    with pytest.raises(FileNotFoundError) as end:
        fetch(entry(bytes=35_637_796))
    said = str(end.value)
    for part in (entry().url, "35.6 MB", "OSError: no route to host", str(cache_path(entry()))):
        assert part in said
    assert [path.name for path in cache_path(entry()).parent.iterdir()] == [".part-vocals.pth"]


def test_without_pooch_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(FileNotFoundError, match=r"mss-shared\[download\]"):
        fetch(entry(bytes=None))


@pytest.mark.parametrize("size", [9, None])
def test_a_page_in_the_place_of_unchecked_weights_is_refused(
    size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads(monkeypatch, b"<html>no.")
    with pytest.raises(ValueError, match="^https://example.org.*web page"):
        fetch(entry(sha256=None, bytes=size), agreed=True)
    assert list(cache_path(entry()).parent.iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "is_fetched"),
    [("y\n", True), ("Yes\n", True), ("\n", False), ("no\n", False), ("", False), (None, False)],
)
def test_a_person_is_asked_before_a_download_that_nothing_can_check(
    answer: str | None, is_fetched: bool, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    asked = downloads(monkeypatch, save({"a": torch.ones(1)}))
    for name, stream in (
        ("stdin", StringIO("y\n" if answer is None else answer)),
        ("stderr", sys.stderr),
    ):
        monkeypatch.setattr(stream, "isatty", lambda: answer is not None, raising=False)
        monkeypatch.setattr(sys, name, stream)
    unchecked = entry(sha256=None, bytes=None)
    if is_fetched:
        assert fetch(unchecked).is_file() and len(asked) == 1
        assert "neither size nor digest" in capsys.readouterr().err
        assert fetch(unchecked).is_file() and len(asked) == 1
        return
    reason = "there is no terminal" if answer is None else "it was not agreed to"
    with pytest.raises(PermissionError, match=f"{reason}.*checkpoints fetch NAME --yes, or put it"):
        fetch(unchecked)
    assert not asked and not cache_path(unchecked).parent.exists()


@pytest.mark.parametrize("size", [7, None])
def test_a_server_that_does_not_end_is_stopped_at_the_known_size_and_leaves_nothing(
    size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "MOST_BYTES", 7)
    downloads(monkeypatch, b"weights and more")
    with pytest.raises(FileNotFoundError, match="sends more than the 7 bytes"):
        fetch(entry(bytes=size), agreed=True)
    assert not list(cache_path(entry()).parent.iterdir())


def package(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An importable package whose source folder holds this checkpoints.yaml."""
    home = folder / "src" / "own_weights"
    home.mkdir(parents=True)
    (home / "__init__.py").write_text("")
    (folder / "checkpoints.yaml").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder / "src"))
    return "own_weights"


def test_names_come_from_the_packages_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(f"    {k}: {v}\n" for k, v in entry(digits=8).__dict__.items() if v)
    name = package(tmp_path, "mine:\n  -" + lines[3:], monkeypatch)
    assert read_published(name) == {"mine": (entry(digits=8),)}
    assert published.find_published(name, "mine") == (entry(digits=8),)
    assert published.find_published(name, "demo") == (entry(digits=8),)
    assert published.find_published(name, "yours") == ()
    assert read_published("tiny_paper") == {}


def test_an_entry_with_another_key_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = package(tmp_path, "mine:\n  - {url: x, md5: y}\n", monkeypatch)
    with pytest.raises(ValueError, match="an entry of mine has url, md5: give url, bytes"):
        read_published(name)


def test_a_name_loads_all_its_files_and_a_known_file_needs_no_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = PAPER.build_model(demo_recipe().recipe).state_dict()
    torch.save(state, tmp_path / "vocals.pth")
    known = entry((tmp_path / "vocals.pth").read_bytes())
    monkeypatch.setattr(
        "mss_shared.checkpoints.checkpoint.read_published", lambda name: {"mine": (known,)}
    )
    monkeypatch.setattr(
        "mss_shared.checkpoints.checkpoint.find_published", lambda name, word: (known, known)
    )
    monkeypatch.setattr(
        "mss_shared.checkpoints.checkpoint.fetch", lambda one: tmp_path / one.file_name
    )
    found = load_checkpoints(PAPER, "mine")
    assert [checkpoint.recipe_name for checkpoint in found] == ["demo", "demo"]
    assert load_checkpoint(PAPER, str(tmp_path / "vocals.pth")).recipe_name == "demo"
    torch.save({**state, "more": torch.ones(1)}, tmp_path / "vocals.pth")
    with pytest.raises(ValueError, match="does not say which recipe"):
        load_checkpoint(PAPER, str(tmp_path / "vocals.pth"))


def test_a_name_of_one_file_is_one_checkpoint_and_a_name_of_several_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(PAPER.build_model(demo_recipe().recipe).state_dict(), tmp_path / "vocals.pth")
    one = entry((tmp_path / "vocals.pth").read_bytes())
    published = {"one": (one,), "two": (one, one)}
    fetched: list[Published] = []

    def fetch(wanted: Published) -> Path:
        fetched.append(wanted)
        return tmp_path / wanted.file_name

    module = "mss_shared.checkpoints.checkpoint"
    monkeypatch.setattr(f"{module}.read_published", lambda package: published)
    monkeypatch.setattr(f"{module}.find_published", lambda _, name: published.get(name, ()))
    monkeypatch.setattr(f"{module}.fetch", fetch)
    assert load_checkpoint(PAPER, "one").recipe_name == "demo" and fetched == [one]
    with pytest.raises(ValueError, match="two names 2 weights files, not one: open"):
        load_checkpoint(PAPER, "two")
    assert fetched == [one]  # nothing was downloaded in vain
    with pytest.raises(FileNotFoundError, match="there is no checkpoint three: .*one of one, two$"):
        load_checkpoint(PAPER, "three")
    with pytest.raises(FileNotFoundError, match="no checkpoint tow: did you mean two, or give a"):
        load_checkpoint(PAPER, "tow")
