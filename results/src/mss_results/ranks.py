"""Ranks: between which places a row stands, as far as the tests tell rows apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mss_results.columns import Column, Key


@dataclass(frozen=True)
class Rank:
    """The best and the worst place: low - 1 rows are significantly better than the row."""

    low: int
    high: int

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


def column_ranks(column: Column) -> dict[str, Rank]:
    """Id -> rank; empty if the tracks are too few to separate any two rows.

    From one plus the number of rows that are significantly better to the number of all rows less
    those that are significantly worse. Rows that beat each other in a circle, which the test
    allows, count as neither among themselves; hence no row stands wholly below one that it beats.
    """
    if not column.is_separable:
        return {}
    places = {id: place for place, id in enumerate(column.rows)}
    beats = np.zeros((len(places), len(places)), dtype=bool)
    for pair in column.pairs:
        beats[places[pair.better], places[pair.worse]] = pair.is_significant
    leads = beats & ~_reaches(beats).T
    lows, highs = 1 + leads.sum(axis=0), len(places) - leads.sum(axis=1)
    return {id: Rank(int(lows[place]), int(highs[place])) for id, place in places.items()}


def _reaches(beats: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(row, row) whether a chain of wins leads from one row to the other."""
    reaches = beats.copy()
    for via in range(len(beats)):
        reaches |= np.outer(reaches[:, via], reaches[via])
    return reaches


def rank(columns: Mapping[Key, Sequence[Column]]) -> dict[str, dict[Key, Rank]]:
    """Id -> (stem, metric) -> rank, over the pools of every column."""
    ranks: dict[str, dict[Key, Rank]] = {}
    for key, pools in columns.items():
        for column in pools:
            for id, place in column_ranks(column).items():
                ranks.setdefault(id, {})[key] = place
    return ranks
