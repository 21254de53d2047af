"""Songs recognised by their sound, and training songs that are not the benchmark's own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_songs import STEMS, make_track, noise, write_set

from mss_shared import audio
from mss_shared.datasets import Dataset, open_dataset
from mss_shared.datasets.content import (
    describe_content,
    digest_track,
    find_copies,
    find_shared,
    uses_extra_data,
)
from mss_shared.datasets.folders import read_split


def digests(folder: Path) -> set[str]:
    [dataset] = [open_dataset(folder)]
    return {d for found in describe_content(dataset.test).values() for d in found}


def test_a_song_is_known_under_any_name_and_format(tmp_path: Path) -> None:
    track = make_track(tmp_path / "a" / "one", {stem: noise(n) for n, stem in enumerate(STEMS)})
    known = set(describe_content([track])["one"])
    assert len(known) == 2
    for stem, path in track.stems.items():
        assert isinstance(path, Path)
        audio.write(tmp_path / "b" / "two" / f"{stem}.flac", audio.read(path), 8_000, "PCM_24")
        audio.write(tmp_path / "c" / "three" / f"{stem}.wav", audio.read(path), 8_000, "FLOAT")
    audio.write(tmp_path / "d" / "four" / "lead.wav", noise(0), 8_000)
    audio.write(tmp_path / "d" / "four" / "rest.wav", noise(5), 8_000)
    assert digests(tmp_path / "b") == digests(tmp_path / "c") == known
    assert len(digests(tmp_path / "d") & known) == 1


def test_silence_and_another_song_are_nothing_in_common(tmp_path: Path) -> None:
    silent = np.zeros((2, 8_000), np.float32)
    make_track(tmp_path / "a" / "one", {"vocals": silent, "drums": noise(1)})
    make_track(tmp_path / "b" / "one", {"vocals": silent, "drums": noise(2)})
    assert len(digests(tmp_path / "a")) == 1
    assert not digests(tmp_path / "a") & digests(tmp_path / "b")


def test_a_stem_that_is_silent_in_the_middle_is_known_by_another_part(tmp_path: Path) -> None:
    signal = noise(1, samples=40_000)
    signal[:, 15_000:25_000] = 0
    make_track(tmp_path / "a" / "one", {"vocals": signal})
    assert len(digests(tmp_path / "a")) == 1


@given(samples=st.integers(1, 9_000), channels=st.integers(1, 2))
def test_any_length_has_a_content(
    samples: int, channels: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("track")
    track = make_track(folder / "x", {"vocals": noise(3, channels, samples)})
    found = describe_content([track])["x"]
    assert len(found) <= 1 and found == describe_content([track])["x"]


@pytest.fixture
def benchmark(tmp_path: Path) -> Dataset:
    songs = {"train/a": 1, "train/b": 2, "valid/c": 3, "test/x": 4}
    return open_dataset(write_set(tmp_path / "bench", songs))


def record(dataset: Dataset) -> dict[str, Any]:
    return {
        "dataset": dataset.name,
        "tracks": [track.name for track in dataset.train],
        "content": describe_content((*dataset.train, *dataset.valid)),
    }


def test_a_benchmarks_own_training_songs_are_no_extra_data(
    benchmark: Dataset, tmp_path: Path
) -> None:
    assert uses_extra_data(record(benchmark), benchmark) is False
    copy = tmp_path / "elsewhere"
    shutil.copytree(benchmark.root, copy)
    (copy / "train" / "a").rename(copy / "train" / "renamed")
    assert uses_extra_data(record(open_dataset(copy)), benchmark) is False


@pytest.mark.parametrize("place", ["train/new", "train/x"])
def test_any_other_song_is(place: str, benchmark: Dataset, tmp_path: Path) -> None:
    more = {"train/a": 1, place: 4, "valid/c": 3}  # song 4 is the benchmark's test song
    others = open_dataset(write_set(tmp_path / "others", more))
    assert uses_extra_data(record(others), benchmark) is True
    same = {**record(benchmark), "tracks": ["a", place.partition("/")[2]]}
    assert uses_extra_data(same, benchmark) is True


def test_one_stem_of_another_song_is_extra_data(benchmark: Dataset, tmp_path: Path) -> None:
    copy = tmp_path / "mixed"
    shutil.copytree(benchmark.root, copy)
    (copy / "train" / "a").rename(copy / "train" / "renamed")
    audio.write(copy / "train" / "renamed" / "drums.wav", noise(99, samples=64), 8_000)
    assert uses_extra_data(record(open_dataset(copy)), benchmark) is True


def test_tracks_of_one_name_share_what_they_sound_like(tmp_path: Path) -> None:
    one, two = (
        make_track(tmp_path / str(n) / "00000", {"vocals": noise(n), "drums": noise(n + 10)})
        for n in (1, 2)
    )
    both = describe_content([one, two])["00000"]
    assert set(both) == {*describe_content([one])["00000"], *describe_content([two])["00000"]}
    assert len(both) == 4


@pytest.mark.parametrize(
    "training",
    [None, {"dataset": "bench", "tracks": None}, {"dataset": "other", "tracks": ["a"]}],
)
def test_what_is_unknown_stays_unknown(training: Any, benchmark: Dataset) -> None:
    assert uses_extra_data(training, benchmark) is None


def test_without_training_songs_a_benchmark_of_ones_own_says_nothing(
    benchmark: Dataset, tmp_path: Path
) -> None:
    tests = open_dataset(write_set(tmp_path / "tests", {"test/x": 4}))
    assert uses_extra_data(record(benchmark), tests) is None


def middle(samples: int = 60_000, seed: int = 0, level: float = 0.0) -> audio.Audio:
    """Noise at both ends, one value from a fifth to four fifths."""
    signal = noise(seed, samples=samples)
    signal[:, samples // 5 : -samples // 5] = level
    return signal


@pytest.mark.parametrize("level", [0.0, 1 / 32_768, 0.01])
def test_songs_of_one_length_that_are_silent_in_the_middle_are_two_songs(
    level: float, tmp_path: Path
) -> None:
    one, two, copy = (
        make_track(tmp_path / place / "Intro", {"vocals": middle(seed=seed, level=level)})
        for place, seed in (("a", 1), ("b", 2), ("c", 1))
    )
    first, other, again = (describe_content([track]) for track in (one, two, copy))
    assert first["Intro"] and not [*find_shared(first, other)]
    assert [*find_shared(first, again)] == [("Intro", "Intro")]


@given(start=st.integers(0, 45_000))
def test_a_copy_is_found_wherever_its_only_sound_is(
    start: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    signal = np.zeros((2, 50_000), np.float32)
    signal[:, start : start + 500] = noise(start, samples=500)
    folder = tmp_path_factory.mktemp("songs")
    tracks = [make_track(folder / name, {"vocals": signal}) for name in ("a", "b")]
    one, two = ({track.name: describe_content([track])[track.name]} for track in tracks)
    assert one["a"] and [*find_shared(one, two)] == [("a", "b")]


def test_copies_of_a_split_are_tracks_of_which_all_stems_agree(tmp_path: Path) -> None:
    write_set(tmp_path, {"train/a": 1, "train/b": 2, "train/c": 3})
    shutil.copytree(tmp_path / "train" / "a", tmp_path / "train" / "d")
    shutil.copy(tmp_path / "train/a/vocals.wav", tmp_path / "train/c/vocals.wav")
    digests = [digest_track(track) for track in read_split(sorted((tmp_path / "train").iterdir()))]
    assert find_copies(digests) == [(3, 0)]
    assert find_copies([frozenset(), frozenset()]) == []
