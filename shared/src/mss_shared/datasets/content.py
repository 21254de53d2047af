"""What tracks sound like: digests by which a song is recognised under any name, and whose it is."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mss_shared.datasets import musdb18
from mss_shared.datasets.identity import DEMO_NAMES
from mss_shared.datasets.tracks import Dataset, Track, files_of

Content = dict[str, list[str]]  # track to the digests of its stems
Digests = frozenset[str]  # of one track's stems

_EXCERPT = 4096  # samples
_BLOCK = 2**18  # samples
_AUDIBLE = 64  # samples of an excerpt that are not zero
_EXCERPTS, _BYTES = 128, 512
# Of the length; the first that is not silent is taken.
_PLACES = (0.5, 0.25, 0.75, *(n / 64 for n in range(1, 64) if n % 16))


def describe_content(tracks: Iterable[Track]) -> Content:
    """Track to a digest per stem, sorted; silent stems have none, tracks of one name share theirs.

    A digest is that of a short excerpt, as integers of 16 bits. It is the same for any lossless
    copy of the same length, whatever its format and name, and the stems beside it.

    Raises:
        ValueError: if a file can't be read.
    """
    return join_content((track.name, digest_track(track)) for track in tracks)


def digest_track(track: Track) -> Digests:
    """A digest per stem of one track, as in `describe_content`."""
    return frozenset(d for stem in track.stems if (d := _digest(track, stem)) is not None)


def is_silent(track: Track, stem: str) -> bool:
    """Whether a stem has no sound in a track, or the track has no such stem."""
    return stem not in track.stems or _digest(track, stem) is None


def join_content(tracks: Iterable[tuple[str, Digests]]) -> Content:
    """The content of tracks from the name and the digests of each."""
    content: Content = {}
    for name, digests in tracks:
        content[name] = sorted(digests.union(content.get(name, ())))
    return content


def find_copies(tracks: Sequence[Digests]) -> list[tuple[int, int]]:
    """The tracks of one split that are an earlier one again: (its number, that of the earlier one).

    All of its stems are those of the other: songs that share a stem alone are two songs.
    """
    first: dict[Digests, int] = {}
    earlier = [first.setdefault(digests, number) for number, digests in enumerate(tracks)]
    return [(n, m) for n, m in enumerate(earlier) if m < n and tracks[n]]


def _digest(track: Track, stem: str) -> str | None:
    length = min(_EXCERPT, track.info.samples)
    for start in _starts(track, stem, length):
        samples = track.read_stem(stem, start, length)
        values = np.clip(np.rint(samples * 32_768.0), -32_768, 32_767).astype("<i2")
        if _is_sound(values):
            return hashlib.sha256(values.tobytes()).hexdigest()[:16]
    return None


def _starts(track: Track, stem: str, length: int) -> Iterator[int]:
    """Where an excerpt may begin: at places all over the track, at last at its first sound."""
    room = track.info.samples - length
    yield from (int(room * place) for place in _PLACES)
    for start in range(0, track.info.samples, _BLOCK):
        samples = track.read_stem(stem, start, min(_BLOCK, track.info.samples - start))
        moving = np.abs(np.diff(samples, axis=1)).max(axis=0, initial=0.0) > 0.5 / 32_768
        if moving.any():
            yield min(start + int(np.argmax(moving)), room)


def _is_sound(values: NDArray[np.int16]) -> bool:
    """Whether an excerpt is neither silence nor one value throughout, such as an offset."""
    if np.count_nonzero(values) < min(_AUDIBLE, values.size):
        return False
    return values.shape[1] < 2 or bool(np.diff(values, axis=1).any())


def find_shared(content: Content, other: Content) -> Iterator[tuple[str, str]]:
    """The tracks of two splits that are one song: (a track of the first, one of the other)."""
    heard = {digest: name for name, digests in other.items() for digest in digests}
    for name, digests in content.items():
        found = next((heard[digest] for digest in digests if digest in heard), None)
        if found is not None:
            yield name, found


def digest_files(tracks: Iterable[Track]) -> str:
    """SHA-256 over names, sizes and excerpts from all over the files of tracks.

    Edits longer than a hundredth of a file are noticed, wherever they are. Of decoded stem files,
    over the files they were decoded from.
    """
    digest = hashlib.sha256()
    for track in tracks:
        digest.update(f"{track.name} {track.info}\n".encode())
        for path in sorted({path for source in track.stems.values() for path in files_of(source)}):
            decoded_from = musdb18.source_digest(path.parent)
            if decoded_from is not None:
                digest.update(f"{path.name} of {decoded_from}\n".encode())
                continue
            size = path.stat().st_size
            digest.update(f"{path.name} {size}\n".encode())
            with path.open("rb") as file:
                for place in range(_EXCERPTS):
                    file.seek(place * size // _EXCERPTS)
                    digest.update(file.read(_BYTES))
    return digest.hexdigest()


def holds_same_songs(dataset: str, other: str) -> bool:
    """Whether tracks of the same name are the same song in two data sets, by the sets' names."""
    return _family(dataset) == _family(other)


def _family(name: str) -> str:
    if name in DEMO_NAMES:
        return "demo"
    return "musdb18" if name in musdb18.NAMES else name


def uses_extra_data(training: Mapping[str, Any] | None, dataset: Dataset) -> bool | None:
    """Whether a model was trained on a track outside of a benchmark's own training songs.

    Songs are recognised by their names if the training data is a version of the benchmark, and by
    content otherwise.

    Args:
        training: the record in a checkpoint; None if it is unknown.
        dataset: the benchmark.

    Returns:
        None if it is unknown what the model was trained on, or what the benchmark's songs are.
    """
    names = None if training is None else training.get("tracks")
    if training is None or not names:
        return None
    own = _own_songs(dataset)
    related = holds_same_songs(training.get("dataset") or "", dataset.name)
    unnamed = [name for name in names if not (related and name in own)]
    if not unnamed:
        return False
    if related and own:
        return True
    return _sounds_foreign(unnamed, training.get("content") or {}, dataset, own)


def _own_songs(dataset: Dataset) -> set[str]:
    """The names of a benchmark's training songs: MUSDB18's by its list, otherwise those there."""
    if dataset.name in musdb18.NAMES:
        return set(musdb18.official_tracks("train"))
    return {track.name for track in (*dataset.train, *dataset.valid)}


def _sounds_foreign(
    names: Sequence[str],
    content: Mapping[str, Sequence[str]],
    dataset: Dataset,
    own: Container[str],
) -> bool | None:
    """Whether a stem of a song is none of the benchmark's; None if that can't be known."""
    songs = [track for track in (*dataset.train, *dataset.valid) if track.name in own]
    known = {digest for digests in describe_content(songs).values() for digest in digests}
    if any(known and set(content.get(name, ())) - known for name in names):
        return True
    return False if known and all(content.get(name) for name in names) else None
