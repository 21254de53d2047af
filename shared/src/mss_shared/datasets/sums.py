"""Stems that a recipe makes of a data set's: ``accompaniment = drums + bass + other``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mss_shared.datasets.converted import adapt
from mss_shared.datasets.tracks import Dataset, Sum, Track


def parse_stem(text: str) -> tuple[str, tuple[str, ...]]:
    """The name of a stem in a recipe, and the data set's stems that it is the sum of.

    Raises:
        ValueError: if a name is missing.
    """
    name, equals, right = (part.strip() for part in text.partition("="))
    parts = tuple(part.strip() for part in right.split("+")) if equals else (name,)
    if not name or not all(parts) or len(set(parts)) < len(parts):
        raise ValueError(
            f"data.stems has {text!r}: write a stem's name, or a sum such as accompaniment = drums "
            f"+ bass + other"
        )
    return name, parts


def stem_names(stems: Iterable[str]) -> tuple[str, ...]:
    """The names of a recipe's stems."""
    return tuple(parse_stem(text)[0] for text in stems)


def parts_of(stems: Iterable[str]) -> tuple[str, ...]:
    """The data set's stems that a recipe's are made of."""
    return tuple(dict.fromkeys(part for text in stems for part in parse_stem(text)[1]))


def with_sums(dataset: Dataset, stems: Iterable[str]) -> Dataset:
    """A data set with a recipe's stems; the parts of a sum are then no stems of their own.

    Tracks that have a stem of the sum's name keep it, unless it is a part of the sum; those that
    lack a part are left as they are, and refused where the stem is needed.
    """
    sums = {name: parts for name, parts in map(parse_stem, stems) if parts != (name,)}
    if not sums:
        return dataset
    names = set(stem_names(stems))
    return dataset.map_tracks(lambda track: _with_sums(track, sums, names))


def _with_sums(track: Track, sums: Mapping[str, tuple[str, ...]], names: set[str]) -> Track:
    found = dict(track.stems)
    for name, parts in sums.items():
        is_new = name not in track.stems or name in parts
        if is_new and all(part in track.stems for part in parts):
            found[name] = Sum.of(*(track.stems[part] for part in parts))
    used = {part for name, parts in sums.items() if name in found for part in parts} - names
    return replace(
        track, stems={name: source for name, source in found.items() if name not in used}
    )


def prepare(dataset: Dataset, stems: Sequence[str], sample_rate: int, channels: int) -> Dataset:
    """A data set with the stems of a recipe, as a model takes it.

    Files that differ are read as the flags allow with which the data set was opened.

    Args:
        dataset: as it was opened.
        stems: as a recipe has them.
        sample_rate, channels: of the model.

    Raises:
        ValueError: as `converted.adapt`, or for a stem that can't be understood.
    """
    return with_sums(adapt(dataset, parts_of(stems), sample_rate, channels), stems)


def pick_stems(wanted: Sequence[str], stems: Sequence[str]) -> tuple[str, ...]:
    """The stems of some names, as recipes have them; by name alone where no recipe has one."""
    known = {parse_stem(text)[0]: text for text in stems}
    return tuple(known.get(name, name) for name in wanted)
