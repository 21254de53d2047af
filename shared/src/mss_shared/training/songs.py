"""The songs of a run: they fit its model, none is a test song, and the record names them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from mss_shared.datasets import Dataset
from mss_shared.datasets.content import Content, describe_content, find_shared
from mss_shared.datasets.sums import prepare, stem_names
from mss_shared.datasets.tracks import check_fits


@dataclass(frozen=True)
class HeardSongs:
    """What the training and the validation tracks sound like, by name."""

    train: Content
    valid: Content


def fit_songs(dataset: Dataset, recipe: Any, model: Any) -> tuple[Dataset, Any]:
    """A data set and a recipe that fit each other and the model.

    Files that differ are read as the flags allow with which the data set was opened.

    Returns:
        the data set with the stems of the recipe, sums among them, and the recipe with their names.
    """
    stems = recipe.data.stems
    named = replace(recipe, data=replace(recipe.data, stems=stem_names(stems)))
    return prepare(dataset, stems, model.sample_rate, model.channels), named


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
    place = " and ".join(str(part.root) for part in dataset.parts or (dataset,))
    for split, content, other, others in (
        ("training", songs.train, "test", tests),
        ("validation", songs.valid, "test", tests),
        ("training", songs.train, "validation", songs.valid),
    ):
        for name, same in find_shared(content, others):
            title = "" if same == name else f", named {same} there"
            raise ValueError(
                f"{split} track {name} is also a {other} track of {place}{title}: remove "
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
    record = {
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "tracks": [track.name for track in dataset.train],
        "validation": [track.name for track in dataset.valid],
        "content": songs.train,
        "validation_content": songs.valid,
        "steps": steps,
        "seed": seed,
    }
    if dataset.parts:
        record["roots"] = [_describe_root(part) for part in dataset.parts]
    if dataset.changes:
        record["reading"] = {flag: list(names) for flag, names in dataset.changes.items()}
    return record


def _describe_root(part: Dataset) -> dict[str, Any]:
    """Which tracks came from one of several data roots."""
    return {
        "dataset": part.name,
        "fingerprint": part.fingerprint,
        "tracks": [track.name for track in part.train],
        "validation": [track.name for track in part.valid],
    }
