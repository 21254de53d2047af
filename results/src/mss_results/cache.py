"""A cache of parsed frames, keyed by the content of the files and by what was read from them."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mss_results.deferring import deferring
from mss_results.entry_file import read_arrays
from mss_results.fields import MAX_NUMBER
from mss_results.partial import partial_of, sweep
from mss_results.track_file import Protocol, TrackScores

_LAYOUT = 1  # version of the format of an entry
_KINDS: Mapping[str, type[np.generic]] = {
    "tracks": np.str_,
    "steps": np.float64,
    "lengths": np.int64,
    "values": np.float64,
}


@dataclass(frozen=True)
class Cache:
    """A folder with one entry per run and protocol; without a folder nothing is cached.

    An entry that can't be read counts as absent, whatever it is: it is computed and written again.
    """

    folder: Path | None

    def key(
        self,
        protocol: Protocol,
        digests: Mapping[str, str],
        absent: Mapping[str, Sequence[str]],
    ) -> str:
        """Digest of the protocol, the files' digests by track, and the targets they may lack."""
        parts = (
            *(_LAYOUT, protocol.id, protocol.metrics, protocol.targets),
            sorted(digests.items()),
            sorted((track, list(stems)) for track, stems in absent.items()),
        )
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def load(
        self, key: str, protocol: Protocol, names: Sequence[str]
    ) -> tuple[TrackScores, ...] | None:
        """The tracks of an entry, which must have these names in this order, or None."""
        if self.folder is None:
            return None
        try:
            tracks = _unpack(protocol, read_arrays(self.folder / f"{key}.npz", _KINDS))
        except (OSError, ValueError):
            return None
        return tracks if [each.track for each in tracks] == list(names) else None

    def store(self, key: str, protocol: Protocol, tracks: Sequence[TrackScores]) -> None:
        """Write an entry atomically."""
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(self.folder / f"{key}.npz", _pack(protocol, tracks))
        except OSError:
            return  # an unwritable folder costs time, not results


def _write(file: Path, entry: Mapping[str, np.ndarray]) -> None:
    sweep(file)
    partial = partial_of(file)
    with deferring():
        try:
            with partial.open("wb") as opened:
                np.savez(opened, allow_pickle=False, **entry)
            os.replace(partial, file)
        finally:
            partial.unlink(missing_ok=True)


def _columns(protocol: Protocol) -> list[tuple[str, str]]:
    return [(stem, metric) for stem in protocol.targets for metric in protocol.metrics]


def _pack(protocol: Protocol, tracks: Sequence[TrackScores]) -> dict[str, np.ndarray]:
    frames = [track.frames[key] for track in tracks for key in _columns(protocol)]
    return {
        "tracks": np.array([track.track for track in tracks], dtype=np.str_),
        "steps": np.array([track.step for track in tracks], dtype=np.float64),
        "lengths": np.array([len(each) for each in frames], dtype=np.int64),
        "values": np.concatenate(frames),
    }


def _unpack(protocol: Protocol, entry: Mapping[str, np.ndarray]) -> tuple[TrackScores, ...]:
    """The tracks of an entry's arrays; ValueError if these don't fit each other."""
    columns = _columns(protocol)
    tracks, steps, lengths, values = (entry[name] for name in _KINDS)
    # Each length is within bounds before they are added up, so that the sum is, too.
    if np.any((lengths < 0) | (lengths > len(values))) or lengths.sum() != len(values):
        raise ValueError("the frames are not as many as the lengths say")
    if len(steps) != len(tracks) or len(lengths) != len(columns) * len(tracks):
        raise ValueError("the arrays of the entry are inconsistent")
    if any(np.any(np.abs(numbers) > MAX_NUMBER) for numbers in (steps, values)):
        raise ValueError("the entry has values that no file may have")
    pieces = np.split(values, np.cumsum(lengths)[:-1])
    return tuple(
        TrackScores(
            protocol.id,
            str(track),
            dict(zip(columns, pieces[index * len(columns) :], strict=False)),
            float(step),
        )
        for index, (track, step) in enumerate(zip(tracks, steps, strict=True))
    )
