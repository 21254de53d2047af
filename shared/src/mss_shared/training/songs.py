"""The songs of a run: they fit its model, none is a test song, and the record names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mss_shared import console
from mss_shared.datasets import Dataset
from mss_shared.datasets.content import (
    Content,
    Digests,
    describe_content,
    digest_track,
    find_copies,
    find_shared,
    is_silent,
    join_content,
)
from mss_shared.datasets.sums import prepare, stem_names
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
    return replace(dataset, train=(track,), valid=(track,), parts=())


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

    Tracks are compared by content: some layouts only number them, and songs share titles. Training
    tracks that are copies of one another are listed on stderr.

    Returns:
        The content of the training and validation tracks.
    """
    for track in (*dataset.split("train"), *dataset.split("valid")):
        check_fits(track, stems, model.sample_rate, model.channels)
    train = [digest_track(track) for track in dataset.train]
    names = [track.name for track in dataset.train]
    songs = HeardSongs(
        join_content(zip(names, train, strict=True)), describe_content(dataset.valid)
    )
    tests = describe_content(dataset.test)
    alone = dataset.train == dataset.valid  # as with --overfit
    place = " and ".join(str(part.root) for part in dataset.parts or (dataset,))
    for split, content, other, others in (
        ("training", songs.train, "test", tests),
        ("validation", songs.valid, "test", tests),
        ("training", songs.train, "validation", {} if alone else songs.valid),
    ):
        for name, same in find_shared(content, others):
            title = "" if same == name else f", named {same} there"
            raise ValueError(
                f"{split} track {name} is also a {other} track of {place}{title}: remove "
                f"one of them"
            )
    _warn_of_copies(dataset, train)
    _warn_of_silence(dataset, stems)
    return songs


def _warn_of_silence(dataset: Dataset, stems: Sequence[str]) -> None:
    """Say which stems no training track has a sound of: a model learns to put out silence."""
    tracks = dataset.train
    silent = [stem for stem in stems if all(is_silent(track, stem) for track in tracks)]
    if silent:
        console.warn(
            f"{', '.join(silent)} {'are' if len(silent) > 1 else 'is'} silent in all of "
            f"{len(tracks)} training tracks: the model learns to put out silence there, see "
            f"mss-data check"
        )


def _warn_of_copies(dataset: Dataset, digests: Sequence[Digests]) -> None:
    """Say which training tracks are one song: the run is as good as any, but hears it more often.

    Such a song is no leak, and may be wanted; a song on both sides of a split never is.
    """
    copies = find_copies(digests)
    if not copies:
        return
    parts = dataset.parts or (dataset,)
    places = [f"{track.name} of {part.root}" for part in parts for track in part.train]
    listed = ", ".join(f"{places[copy]} is {places[first]}" for copy, first in copies[:3])
    more = f" and {len(copies) - 3} others" if len(copies) > 3 else ""
    console.warn(
        f"{len(copies)} of {len(digests)} training tracks are songs that are there already, by "
        f"their sound ({listed}{more}): they are heard more often, leave them out if you do not "
        f"want that"
    )


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
    if dataset.parts:
        own["roots"] = [_describe_root(part) for part in dataset.parts]
    if dataset.changes:
        own["reading"] = {flag: list(names) for flag, names in dataset.changes.items()}
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


def _describe_root(part: Dataset) -> dict[str, Any]:
    """Which tracks came from one of several data roots."""
    return {
        "dataset": part.name,
        "fingerprint": part.fingerprint,
        "tracks": [track.name for track in part.train],
        "validation": [track.name for track in part.valid],
    }
