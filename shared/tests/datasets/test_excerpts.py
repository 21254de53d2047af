"""A data set for torch's DataLoader: what an item is, how songs are cut, batches, refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_songs import RATE, noise, write_track
from torch.utils.data import DataLoader

from mss_shared import open_dataset
from mss_shared.datasets.excerpts import Excerpts

STEMS = ("vocals", "drums")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training songs of 2.5 s and 0.75 s, and one each to validate and to test."""
    root = tmp_path_factory.mktemp("songs")
    for number, (place, seconds) in enumerate(
        (("train/long", 2.5), ("train/short", 0.75), ("test/song", 1.0), ("valid/song", 1.0))
    ):
        samples = round(seconds * RATE)
        signals = {s: noise(10 * number + n, samples=samples) for n, s in enumerate(STEMS)}
        write_track(root / place, signals)
    return root


def test_an_item_is_an_excerpt_that_adds_up(root: Path) -> None:
    songs = open_dataset(root, chunk_seconds=1.0)
    assert [(item["name"], item["start"]) for item in songs] == [
        ("long", 0),
        ("long", RATE),
        ("short", 0),
    ]
    assert (songs.stems, songs.sample_rate, songs.channels, len(songs)) == (STEMS, RATE, 2, 3)
    item = songs[1]
    assert item["mixture"].shape == (2, RATE) and item["stems"].shape == (2, 2, RATE)
    assert item["stems"].dtype == item["mixture"].dtype == np.float32
    assert np.allclose(item["stems"].sum(axis=0), item["mixture"], atol=1e-4)
    assert np.array_equal(item["stems"][1], noise(1, samples=RATE * 5 // 2)[:, RATE : 2 * RATE])
    short = songs[2]
    assert short["mixture"].shape == (2, RATE) and not short["mixture"][:, RATE * 3 // 4 :].any()


def test_a_loader_makes_batches_of_it(root: Path) -> None:
    loader = DataLoader(open_dataset(root, chunk_seconds=0.5), batch_size=4, shuffle=True)
    batches = [*loader]
    assert sum(len(batch["name"]) for batch in batches) == 6
    assert batches[0]["stems"].shape == (4, 2, 2, RATE // 2)
    assert batches[0]["mixture"].dtype == torch.float32


def test_whole_songs_are_padded_to_the_longest(root: Path) -> None:
    songs = open_dataset(root, chunk_seconds=None, stems=["drums"])
    loader: Any = DataLoader(songs, batch_size=2, collate_fn=songs.collate)
    [batch] = [*loader]
    assert batch["stems"].shape == (2, 1, 2, RATE * 5 // 2)
    assert batch["samples"].tolist() == [RATE * 5 // 2, RATE * 3 // 4]
    assert batch["name"] == ["long", "short"] and not batch["mixture"][1, :, RATE:].any()


def test_processes_read_the_same(root: Path) -> None:
    songs = open_dataset(root, "test", chunk_seconds=0.25)
    alone, shared = ([*DataLoader(songs, batch_size=2, num_workers=n)] for n in (0, 1))
    for one, other in zip(alone, shared, strict=True):
        assert torch.equal(one["stems"], other["stems"]) and one["name"] == other["name"]


@given(st.floats(1 / RATE, 4.0))
def test_excerpts_follow_each_other_without_overlap(root: Path, seconds: float) -> None:
    songs = open_dataset(root, chunk_seconds=seconds)
    assert songs.samples is not None
    for track in songs.tracks:
        starts = [start for each, start in songs._places if each is track]
        assert starts == [n * songs.samples for n in range(len(starts))]
        assert len(starts) == max(1, track.info.samples // songs.samples)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"split": "tests"}, "there is no split 'tests': choose from train, valid, test"),
        ({"stems": ["piano"]}, "track long has no stem 'piano': choose stems from vocals, drums"),
        ({"chunk_seconds": 0.0}, "chunk_seconds is 0.0: .* and at least one sample, or None"),
        ({"chunk_seconds": 1e6}, "chunk_seconds is 1000000.0: the longest track has 2.5 s, pass"),
        ({"chunk_seconds": float("inf")}, "chunk_seconds is inf: the longest"),
        ({"chunk_seconds": float("nan")}, "chunk_seconds is nan: the longest"),
    ],
)
def test_what_is_not_there_is_refused(root: Path, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        open_dataset(root, **options)


def test_songs_of_other_rates_and_without_a_common_stem_are_refused(tmp_path: Path) -> None:
    write_track(tmp_path / "test" / "a", {"vocals": noise(0)})
    write_track(tmp_path / "test" / "b", {"vocals": noise(1)}, 2 * RATE)
    with pytest.raises(ValueError, match="track b has 2 channels at 16000 Hz, a 2 at 8000 Hz"):
        open_dataset(tmp_path, "test")
    write_track(tmp_path / "other" / "test" / "a", {"vocals": noise(0)})
    write_track(tmp_path / "other" / "test" / "b", {"drums": noise(1)})
    with pytest.raises(ValueError, match="the tracks have no stem in common"):
        open_dataset(tmp_path / "other", "test")
    with pytest.raises(ValueError, match="has no train tracks"):
        open_dataset(tmp_path / "other")


def test_an_index_that_is_not_there_ends_the_iteration(root: Path) -> None:
    songs = open_dataset(root, chunk_seconds=1.0)
    assert isinstance(songs, Excerpts)
    with pytest.raises(IndexError):
        songs[3]
    several: Any = slice(2)
    with pytest.raises(
        TypeError, match=r"slice\(.*\) is not the number of an excerpt: for several"
    ):
        songs[several]


def test_it_says_what_it_is(root: Path) -> None:
    assert repr(open_dataset(root, chunk_seconds=1.0)) == (
        f"<train of {root.name}: 3 excerpts of 1 s from 2 tracks, vocals, drums; "
        f"2 channels at {RATE} Hz>"
    )
    assert ": 2 whole songs from 2 tracks" in repr(open_dataset(root, chunk_seconds=None))
