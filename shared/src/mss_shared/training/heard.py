"""Which tracks an example was drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

from mss_shared.audio import Audio
from mss_shared.datasets import Dataset, Track


class Listener:
    """Notes which training tracks of a data set are read.

    Args:
        dataset: whose training tracks ``dataset`` of this object replaces.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.names: set[str] = set()
        tracks = (cast(Track, _Heard(track, self.names)) for track in dataset.train)
        self.dataset = replace(dataset, train=tuple(tracks))

    @contextmanager
    def listen(self) -> Iterator[set[str]]:
        """Yield a set that gets the names of the tracks that are read in the block."""
        self.names.clear()
        yield self.names


class _Heard:
    """A track that notes its name in a set when it is read."""

    def __init__(self, track: Track, names: set[str]) -> None:
        self._track, self._names = track, names

    def read_stem(self, *args: Any) -> Audio:
        self._names.add(self._track.name)
        return self._track.read_stem(*args)

    def read_stems(self, *args: Any) -> Audio:
        self._names.add(self._track.name)
        return self._track.read_stems(*args)

    def read_mixture(self, *args: Any) -> Audio:
        self._names.add(self._track.name)
        return self._track.read_mixture(*args)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_track":
            raise AttributeError(name)
        return getattr(self._track, name)
