import io
import math
import os
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
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


def npz(entry, **changed):
    """The bytes of an entry with some arrays changed; bytes are a member as it is."""
    with np.load(entry) as arrays:
        members = {name: arrays[name] for name in arrays.files} | changed
    opened = io.BytesIO()
    with zipfile.ZipFile(opened, "w") as archive:
        for name, array in members.items():
            if not isinstance(array, bytes):
                content = io.BytesIO()
                np.lib.format.write_array(content, array, allow_pickle=False)
                array = content.getvalue()
            archive.writestr(f"{name}.npy", array)
    return opened.getvalue()


def claims(descr, shape):
    """An array of no values whose header says otherwise."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (117 - len(text)) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def array_file(entry):
    opened = io.BytesIO()
    np.save(opened, np.zeros(3))
    return opened.getvalue()


def damaged_deflate(entry):
    with np.load(entry) as arrays:
        opened = io.BytesIO()
        np.savez_compressed(opened, **{name: arrays[name] for name in arrays.files})
    content = bytearray(opened.getvalue())
    begin = content.index(b"values.npy") + len("values.npy") + 20  # after the sizes of 64 bits
    content[begin : begin + 8] = b"\xff" * 8
    return bytes(content)


def bomb(entry):
    """Half a MB that would be 512 MB."""
    opened = io.BytesIO()
    with zipfile.ZipFile(opened, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("tracks", "steps", "lengths", "values"):
            with archive.open(f"{name}.npy", "w") as member:
                member.write(claims("<f8", f"({2**24},)"))
                for _ in range(128):
                    member.write(bytes(2**20))
    return opened.getvalue()


def long_directory(entry):
    opened = io.BytesIO()
    with zipfile.ZipFile(opened, "w") as archive:
        for number in range(30_000):
            archive.writestr(str(number), b"")
    return opened.getvalue()


ODD_ENTRIES = {
    "one array": array_file,
    "damaged deflate": damaged_deflate,
    "bomb": bomb,
    "long directory": long_directory,
    "empty arrays": lambda entry: npz(
        entry,
        tracks=np.array([], np.str_),
        **dict.fromkeys(("steps", "values"), np.zeros(0)),
        lengths=np.zeros(0, np.int64),
    ),
    "text": lambda entry: npz(entry, values=np.array(["x", "y", "1", "2"])),
    "real lengths": lambda entry: npz(entry, lengths=np.ones(4)),
    "a table": lambda entry: npz(entry, values=np.zeros((4, 2))),
    "a number": lambda entry: npz(entry, values=np.float64(3.0)),
    "another track": lambda entry: npz(entry, tracks=np.array(["b"])),
    "negative": lambda entry: npz(entry, lengths=np.array([5, 1, -3, 1])),
    "overflow": lambda entry: npz(entry, lengths=np.array([2**62, 2**62, 2**62, 2**62 + 4])),
    "infinite": lambda entry: npz(entry, values=np.array([math.inf, 1.0, 2.0, 3.0])),
    "2**40 numbers": lambda entry: npz(entry, values=claims("<f8", f"({2**40},)")),
    "2**40 of nothing": lambda entry: npz(entry, tracks=claims("<U0", f"({2**40},)")),
    "9**9 of nothing": lambda entry: npz(entry, tracks=claims("<U0", f"({9**9},)")),
    "objects": lambda entry: npz(entry, values=claims("|O", "(4,)")),
}


@pytest.mark.parametrize("make", ODD_ENTRIES.values(), ids=ODD_ENTRIES)
def test_an_odd_entry_is_computed_again_in_little_memory(folders, cache, parsed, make):
    folders.write({"a": four_stems(1.0)})
    first = read_runs([folders.root], cache)
    (entry,) = cache.folder.iterdir()
    whole = entry.read_bytes()
    content = make(entry)
    entry.write_bytes(content)
    tracemalloc.start()
    same(first, read_runs([folders.root], cache))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert parsed == ["a", "a"] and entry.read_bytes()[:30] == whole[:30]
    assert peak < 4 * len(content) + 2**27  # of which Python takes 2**26 to read a file


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "long"])
def test_an_entry_that_is_no_short_file_is_computed_again(folders, cache, parsed, kind):
    folders.write({"a": four_stems(1.0)})
    first = read_runs([folders.root], cache)
    (entry,) = cache.folder.iterdir()
    entry.unlink()
    if kind == "pipe":
        os.mkfifo(entry)
    elif kind == "folder":
        entry.mkdir()
    elif kind == "device":
        entry.symlink_to("/dev/zero")
    else:
        entry.touch()
        os.truncate(entry, 2**33)
    same(first, read_runs([folders.root], cache))
    assert parsed == ["a", "a"]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2**16), new=st.binary(min_size=1, max_size=8))
@example(place=0, new=b"")
def test_whatever_bytes_an_entry_has_it_is_right_or_computed_again(folders, cache, place, new):
    if not list(folders.root.iterdir()):
        folders.write({"a": four_stems(1.0)})
    first = read_runs([folders.root])
    read_runs([folders.root], cache)
    (entry,) = cache.folder.iterdir()
    content = bytearray(entry.read_bytes())
    place %= len(content)
    content[place : place + len(new)] = new
    entry.write_bytes(bytes(content))
    same(first, read_runs([folders.root], cache))
    entry.unlink()


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
