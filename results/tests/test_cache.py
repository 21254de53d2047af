import math

import numpy as np
import pytest
from score_folders import four_stems

from mss_results import read
from mss_results.__main__ import main
from mss_results.cache import Cache
from mss_results.read import read_runs


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture
def parsed(monkeypatch):
    """Names of the tracks that were parsed, not taken from the cache."""
    names = []
    real = read.parse_track

    def spy(content, file, track, *others):
        names.append(track)
        return real(content, file, track, *others)

    monkeypatch.setattr(read, "parse_track", spy)
    return names


def same(first, second):
    for one, two in zip(first, second, strict=True):
        for left, right in zip(one.scores[0].tracks, two.scores[0].tracks, strict=True):
            assert (left.track, left.protocol, list(left.frames)) == (
                *(right.track, right.protocol, list(right.frames)),
            )
            assert np.array_equal(left.step, right.step, equal_nan=True)
            for key, values in left.frames.items():
                assert np.array_equal(values, right.frames[key], equal_nan=True)


def test_a_second_run_reads_the_same_values_from_the_cache(folders, cache, parsed):
    folders.write({"b": four_stems(2.0), "a": four_stems(1.0)}, metric="SDR SIR")
    first = read_runs([folders.root], cache)
    assert parsed == ["a", "b"]
    second = read_runs([folders.root], cache)
    assert parsed == ["a", "b"]
    same(first, second)


def test_ragged_frames_and_absent_stems_come_back(folders, cache, parsed):
    folder = folders.write(
        {"a": {"vocals": [1.0, math.nan, 3.0]}, "b": {"vocals": [1.0], "drums": [4.0, 5.0]}}
    )
    folders.edit(folder, "protocols", "bsseval_v4", "notes", value={"a": {"drums": "not there"}})
    first = read_runs([folders.root], cache)
    assert first[0].scores[0].tracks[0].frames["drums", "SDR"].tolist() == []
    same(first, read_runs([folders.root], cache))
    assert parsed == ["a", "b"]


def test_changed_content_is_parsed_again_under_its_own_key(folders, cache, parsed):
    folders.write({"a": four_stems(1.0)})
    read_runs([folders.root], cache)
    folders.write({"a": four_stems(2.0)})
    (run,) = read_runs([folders.root], cache)
    assert run.scores[0].tracks[0].frames["vocals", "SDR"].tolist() == [2.0]
    assert parsed == ["a", "a"] and len(list(cache.folder.iterdir())) == 2


def test_a_file_changed_behind_the_cache_is_refused(folders, cache):
    folder = folders.write({"a": four_stems(1.0)})
    read_runs([folders.root], cache)
    file = folder / "bsseval_v4" / "test" / "a.json"
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(ValueError, match=r"a\.json: its SHA-256 is"):
        read_runs([folders.root], cache)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", None])
def test_a_damaged_entry_is_computed_again(folders, cache, parsed, damage):
    folders.write({"a": four_stems(1.0)})
    read_runs([folders.root], cache)
    (entry,) = cache.folder.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    read_runs([folders.root], cache)
    assert parsed == ["a", "a"] and entry.read_bytes()[:4] == whole[:4]
    assert [path.name for path in cache.folder.iterdir()] == [entry.name]


def test_an_entry_whose_parts_do_not_fit_is_computed_again(folders, cache, parsed):
    folders.write({"a": four_stems(1.0)})
    (first,) = read_runs([folders.root], cache)
    (entry,) = cache.folder.iterdir()
    with np.load(entry) as arrays:
        kept = {name: arrays[name] for name in arrays.files}
    np.savez(entry, **(kept | {"values": kept["values"][:-1]}))
    same([first], read_runs([folders.root], cache))
    assert parsed == ["a", "a"]


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(folders, tmp_path, parsed):
    (tmp_path / "taken").write_text("a file where a folder belongs")
    folders.write({"a": four_stems(1.0)})
    cache = Cache(tmp_path / "taken")
    same(read_runs([folders.root], cache), read_runs([folders.root], cache))
    assert parsed == ["a", "a"]


def test_verify_does_not_believe_the_cache(repo, parsed, capsys):
    assert main(["build", "--repo", str(repo)]) == 0
    assert (repo / "results" / ".cache").is_dir()
    before = len(parsed)
    assert main(["build", "--repo", str(repo)]) == 0
    assert len(parsed) == before
    assert main(["verify", "--repo", str(repo)]) == 0
    assert len(parsed) == 2 * before
