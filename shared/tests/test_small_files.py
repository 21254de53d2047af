"""Files that are read whole end in a sentence if they are no plain files, or too long."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mss_shared import json_text
from mss_shared.json_text import parse_json, read_json
from mss_shared.separation.batch.manifest import MANIFEST, Manifest
from mss_shared.small_files import MOST_BYTES, read_small_file, read_small_text
from mss_shared.training.begun import read_begun
from mss_shared.training.callbacks import read_rows
from mss_shared.yaml_text import read_text


def test_what_may_never_end_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for name in ("pipe", "link", "."):
        with pytest.raises(ValueError, match="is no plain file: restore it, or move it away"):
            read_small_file(tmp_path / name)


@pytest.mark.parametrize("read", [read_small_file, read_small_text, read_json])
def test_a_file_of_terabytes_is_not_read(read, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "sparse"
    with file.open("wb") as opened:
        opened.truncate(2**42)
    with pytest.raises(ValueError, match=f"sparse is longer than {MOST_BYTES} bytes"):
        read(file)


def test_a_run_with_such_files_is_damaged_and_a_batch_refuses(tmp_path: Path) -> None:
    for name in ("begun.json", "metrics.csv", MANIFEST):
        with (tmp_path / name).open("wb") as opened:
            opened.truncate(2**42)
    for read in (read_begun, lambda folder: read_rows(folder / "metrics.csv")):
        with pytest.raises(ValueError, match="is damaged: restore it"):
            read(tmp_path)
    with pytest.raises(ValueError, match="is longer than 1073741824 bytes: move it away"):
        Manifest(tmp_path)


def test_deep_nesting_in_the_record_of_a_run_is_damage(tmp_path: Path) -> None:
    (tmp_path / "begun.json").write_text('{"recipe": ' + "[" * 100_000)
    with pytest.raises(ValueError, match="is damaged: restore it"):
        read_begun(tmp_path)


def test_a_line_that_never_ends_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(b"x" * (3 * 2**20) + b"\n")
    assert Manifest(tmp_path).find("song") is None


def test_values_are_counted_before_memory_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "MOST_VALUES", 10)
    assert parse_json("[1, 2, 3]", "x") == [1, 2, 3]
    with pytest.raises(ValueError, match="x is not valid JSON .it has more than 10 values.: fix"):
        parse_json("[" + "{}," * 10 + "0]", "x")


@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-32"])
def test_a_text_in_another_encoding_is_said_to_be(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text("{}", encoding=encoding)
    for read in (read_small_text, read_text, read_json):
        with pytest.raises(ValueError, match=rf"a\.txt .*in {encoding}, not in UTF-8"):
            read(path)


@pytest.mark.parametrize(
    "change",
    [
        {"training": {}},
        {"training": {"seed": "/../../x"}},
        {"training": {"seed": 0, "tracks": 5}},
        {"training": {"seed": 0, "content": [1]}},
        {"training": {"seed": 0, "dataset": ["a"]}},
        {"frozen": [5]},
        {"frozen": [None]},
        {"frozen": [{"x": 1}]},
        {"frozen": "abc"},
        {"asked": [1]},
        {"recipe": 1},
    ],
    ids=str,
)
def test_an_odd_value_in_the_record_of_a_beginning_is_named(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    begun = {"recipe": "demo", "asked": {}, "frozen": ["a*"], "training": {"seed": 0}}
    (tmp_path / "begun.json").write_text(json.dumps(begun))
    assert read_begun(tmp_path) is not None
    (tmp_path / "begun.json").write_text(json.dumps(begun | change))
    with pytest.raises(ValueError, match=r"begun\.json is damaged"):
        read_begun(tmp_path)
