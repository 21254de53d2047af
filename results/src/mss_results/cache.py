"""A cache of parsed frames, keyed by the content of the files and by what was read from them."""

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mss_results.partial import partial_of, sweep
from mss_results.track_file import Protocol, TrackScores

_LAYOUT = 1  # version of the format of an entry


@dataclass(frozen=True)
class Cache:
    """A folder with one entry per run and protocol; without a folder nothing is cached.

    An entry that can't be read counts as absent: it is computed and written again.
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

    def load(self, key: str, protocol: Protocol) -> tuple[TrackScores, ...] | None:
        """The tracks of an entry, or None."""
        if self.folder is None:
            return None
        try:
            # Opened here, because np.load does not close a damaged file.
            with (
                (self.folder / f"{key}.npz").open("rb") as file,
                np.load(file, allow_pickle=False) as entry,
            ):
                return _unpack(protocol, {name: entry[name] for name in entry.files})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

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
    columns = _columns(protocol)
    ends = np.cumsum(entry["lengths"])
    if len(ends) != len(columns) * len(entry["tracks"]) or ends[-1] != len(entry["values"]):
        raise ValueError("the arrays of the entry are inconsistent")
    pieces = np.split(entry["values"], ends[:-1])
    return tuple(
        TrackScores(
            protocol.id,
            str(track),
            dict(zip(columns, pieces[index * len(columns) :], strict=False)),
            float(step),
        )
        for index, (track, step) in enumerate(zip(entry["tracks"], entry["steps"], strict=True))
    )
