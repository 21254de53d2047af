"""Parts of a run that are scored by different processes or machines into one folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """One of several parts of a list of tracks.

    Attributes:
        number: from 1.
        count: of all parts.
    """

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def label(self) -> str:
        """Part of file names."""
        return f"{self.number}-of-{self.count}"

    def choose(self, items: Sequence[Item]) -> tuple[Item, ...]:
        """Its items: every ``count``-th, so that long tracks at one end are shared out."""
        return tuple(items[self.number - 1 :: self.count])


WHOLE = Shard(1, 1)


def parse_shard(text: str) -> Shard:
    """A shard from ``2/8``.

    Raises:
        ValueError: if it is none.
    """
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text, re.ASCII)
    shard = Shard(int(match[1]), int(match[2])) if match else None
    if shard is None or not 1 <= shard.number <= shard.count:
        raise ValueError(f"{text} is not a shard: give 1/8 for the first of eight, up to 8/8")
    return shard


def check_merged(missing: Sequence[str], count: int, folder: Path) -> None:
    """Raise ValueError if tracks have no scores, of all ``count`` tracks of a run."""
    if missing:
        raise ValueError(
            f"{len(missing)} of {count} tracks have no scores of this run in {folder} "
            f"({', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}): run their shards "
            f"with the same settings, or leave out --merge to score them here"
        )
