"""Records and tables that may never end, or are too long, are one sentence."""

import gzip
import os

import pytest

from mss_results import museval_files, small_file
from mss_results.fields import parse_object
from mss_results.small_file import read_small


def test_what_may_never_end_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for name in ("pipe", "link", "."):
        with pytest.raises(ValueError, match="no plain file: replace it"):
            read_small(tmp_path / name)


def test_a_file_of_terabytes_is_not_read(tmp_path):
    with (tmp_path / "sparse").open("wb") as opened:
        opened.truncate(2**42)
    with pytest.raises(ValueError, match="sparse: longer than 67108864 bytes: replace it"):
        read_small(tmp_path / "sparse")


def test_a_packed_file_is_unpacked_up_to_a_size(tmp_path, monkeypatch):
    monkeypatch.setattr(museval_files, "MOST_BYTES", 1000)
    file = tmp_path / "track.json.gz"
    file.write_bytes(gzip.compress(b"0" * 1000))
    assert museval_files._content(file) == b"0" * 1000
    file.write_bytes(gzip.compress(b"0" * 1001))
    with pytest.raises(ValueError, match="unpacks to more than 1000 bytes: replace it"):
        museval_files._content(file)


def test_values_are_counted_before_memory_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(small_file, "MOST_VALUES", 10)
    assert parse_object(b'{"a": [1, 2]}', tmp_path).values == {"a": [1, 2]}
    with pytest.raises(ValueError, match="invalid JSON .more than 10 values.: replace"):
        parse_object(b'{"a": [' + b"{}," * 10 + b"0]}", tmp_path)
