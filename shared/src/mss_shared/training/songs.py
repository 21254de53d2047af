"""The songs of a run: they fit its model, none is a test song, and the record names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mss_shared.datasets import Dataset
from mss_shared.datasets.content import Content, describe_content, find_shared
from mss_shared.datasets.tracks import check_fits


@dataclass(frozen=True)
class HeardSongs:
    """What the training and the validation tracks sound like, by name."""

    train: Content
    valid: Content


def check_dataset(dataset: Dataset, stems: tuple[str, ...], model: Any) -> HeardSongs:
    """Raise ValueError unless all tracks have sound, the stems, rate and channels, and one split.

    Tracks are compared by content: some layouts only number them, and songs share titles.

    Returns:
        The content of the training and validation tracks.
    """
    for track in (*dataset.split("train"), *dataset.split("valid")):
        check_fits(track, stems, model.sample_rate, model.channels)
    songs = HeardSongs(describe_content(dataset.train), describe_content(dataset.valid))
    tests = describe_content(dataset.test)
    for split, content, other, others in (
        ("training", songs.train, "test", tests),
        ("validation", songs.valid, "test", tests),
        ("training", songs.train, "validation", songs.valid),
    ):
        for name, same in find_shared(content, others):
            as_what = "" if same == name else f", {same}"
            raise ValueError(
                f"{split} track {name} is also a {other} track of {dataset.root}{as_what}: remove "
                f"one of them"
            )
    return songs


def describe_training(dataset: Dataset, songs: HeardSongs, steps: int, seed: int) -> dict[str, Any]:
    """The record of its training in a weights file, by which its scores can be trusted.

    Args:
        dataset: training and validation tracks.
        songs: what they sound like.
        steps: of the optimizer.
        seed: of the run.
    """
    return {
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "tracks": [track.name for track in dataset.train],
        "validation": [track.name for track in dataset.valid],
        "content": songs.train,
        "validation_content": songs.valid,
        "steps": steps,
        "seed": seed,
    }
