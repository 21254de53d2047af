"""The songs of a run: they fit its model, none is a test song, and the record names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mss_shared.datasets import Dataset
from mss_shared.datasets.content import Content, describe_content
from mss_shared.datasets.tracks import check_fits
from mss_shared.training.start import Inherited

_HEARD = ("tracks", "validation", "content", "validation_content")


@dataclass(frozen=True)
class HeardSongs:
    """What the training and the validation tracks sound like, by name."""

    train: Content
    valid: Content


def one_track(dataset: Dataset, name: str | None) -> Dataset:
    """A data set that trains and validates on a single track, to see whether a model can learn it.

    Args:
        dataset: the whole.
        name: of a training track; None for the first.

    Raises:
        ValueError: if there is no such track.
    """
    tracks = {track.name: track for track in reversed(dataset.split("train"))}
    if name is not None and name not in tracks:
        shown = ", ".join(sorted(tracks)[:5]) + (", ..." if len(tracks) > 5 else "")
        raise ValueError(f"there is no training track {name}: choose --overfit from {shown}")
    track = dataset.train[0] if name is None else tracks[name]
    return replace(dataset, train=(track,), valid=(track,))


def check_dataset(dataset: Dataset, stems: tuple[str, ...], model: Any) -> HeardSongs:
    """Raise ValueError unless all tracks have the stems, rate and channels, and none is a test.

    Tracks are compared by content: some layouts only number them.

    Returns:
        The content of the training and validation tracks.
    """
    for track in (*dataset.split("train"), *dataset.split("valid")):
        check_fits(track, stems, model.sample_rate, model.channels)
    songs = HeardSongs(describe_content(dataset.train), describe_content(dataset.valid))
    tests = describe_content(dataset.test)
    heard = {digest for digests in tests.values() for digest in digests}
    for split, content in (("training", songs.train), ("validation", songs.valid)):
        for name, digests in content.items():
            if heard.intersection(digests):
                raise ValueError(
                    f"{split} track {name} is also a test track of {dataset.root}: remove one of "
                    f"them"
                )
    return songs


def describe_training(
    dataset: Dataset, songs: HeardSongs, seed: int, inherited: Inherited | None = None
) -> dict[str, Any]:
    """The record of its training in a weights file, by which its scores can be trusted.

    Args:
        dataset: training and validation tracks.
        songs: what they sound like.
        seed: of the run.
        inherited: from the training of the weights that it starts from, whose songs are added;
            if those are unknown, so are all that the weights have heard.

    Returns:
        The record without the steps.
    """
    own: dict[str, Any] = {
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "tracks": [track.name for track in dataset.train],
        "validation": [track.name for track in dataset.valid],
        "content": songs.train,
        "validation_content": songs.valid,
        "seed": seed,
    }
    if inherited is None:
        return own
    start = {"start": {**inherited.start, "own_tracks": own["tracks"]}}
    earlier = inherited.training
    if earlier == {}:  # nothing but frozen weights
        return own | start
    if earlier is None:
        return own | dict.fromkeys(_HEARD) | start
    for name in ("dataset", "fingerprint"):
        own[name] = own[name] if earlier.get(name) == own[name] else None
    for name in ("tracks", "validation"):
        own[name] = _join(own[name], earlier.get(name))
    for name in ("content", "validation_content"):
        own[name] = _merge(own[name], earlier.get(name))
    return own | start


def _join(ours: Sequence[str], theirs: Sequence[str] | None) -> list[str] | None:
    return None if theirs is None else list(dict.fromkeys([*ours, *theirs]))


def _merge(ours: Content, theirs: Content | None) -> Content | None:
    """Tracks of one name may be different songs."""
    if theirs is None:
        return None
    return {
        name: list(dict.fromkeys([*ours.get(name, ()), *theirs.get(name, ())]))
        for name in dict.fromkeys([*ours, *theirs])
    }
