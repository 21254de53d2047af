"""Ranks as groups: rows that the test tracks do not tell apart share one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from mss_results.aggregate import Cell
from mss_results.significance import LEVEL, Comparison, compare, holm

Key = tuple[str, str]


@dataclass(frozen=True)
class Candidate:
    """A row that may be ranked: its id, its cells, its data (empty if not known), its tracks."""

    id: str
    cells: Mapping[Key, Cell]
    fingerprint: str
    tracks: tuple[str, ...]


@dataclass(frozen=True)
class Rank:
    """One more than the number of rows in better groups, and who else is in the group."""

    place: int
    tied: tuple[str, ...]


def rank(candidates: Sequence[Candidate]) -> dict[str, dict[Key, Rank]]:
    """Id -> (stem, metric) -> rank, for rows that share their tracks with at least one other.

    Within one column the rows are sorted by value, and each is compared with the next by a paired
    Wilcoxon test; Holm's correction is over those pairs. A group ends where the better row wins at
    0.05; the ends of a long group may differ although no two neighbours do.
    """
    ranks: dict[str, dict[Key, Rank]] = {one.id: {} for one in candidates}
    for pool in pools(candidates):
        for key in sorted({key for one in pool for key in one.cells}):
            for id, place in _rank_column(pool, key):
                ranks[id][key] = place
    return ranks


def pools(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Rows that were scored on the same data and tracks.

    Rows of unknown data join those of the same tracks if these have one fingerprint, not several.
    """
    known: dict[tuple[str, ...], set[str]] = {}
    for one in candidates:
        known.setdefault(one.tracks, set()).add(one.fingerprint)
    found: dict[tuple[str, tuple[str, ...]], list[Candidate]] = {}
    for one in candidates:
        prints = known[one.tracks] - {""}
        only = next(iter(prints)) if len(prints) == 1 else one.fingerprint
        found.setdefault((only, one.tracks), []).append(one)
    return [found[key] for key in sorted(found)]


def compare_all(
    candidates: Sequence[Candidate], key: Key
) -> list[tuple[str, str, Comparison, float]]:
    """Every pair of rows on the same tracks: ids, comparison, p after Holm over all pairs."""
    pairs = [
        (one, two, compare(one.cells[key].by_track, two.cells[key].by_track))
        for pool in pools(candidates)
        for one, two in combinations([one for one in pool if _has(one, key)], 2)
    ]
    corrected = holm([comparison.p for _, _, comparison in pairs])
    return [
        (one.id, two.id, comparison, p)
        for (one, two, comparison), p in zip(pairs, corrected, strict=True)
    ]


def _has(one: Candidate, key: Key) -> bool:
    return key in one.cells and one.cells[key].is_scored


def _rank_column(pool: Sequence[Candidate], key: Key) -> Iterator[tuple[str, Rank]]:
    scored = [one for one in pool if _has(one, key)]
    scored.sort(key=lambda one: (-one.cells[key].value, one.id))
    if len(scored) < 2:
        return
    place = 1
    for group in _groups(scored, key):
        ids = [one.id for one in group]
        for id in ids:
            yield id, Rank(place, tuple(other for other in ids if other != id))
        place += len(group)


def _groups(scored: Sequence[Candidate], key: Key) -> list[list[Candidate]]:
    pairs = list(zip(scored, scored[1:], strict=False))
    found = [compare(one.cells[key].by_track, two.cells[key].by_track) for one, two in pairs]
    groups = [[scored[0]]]
    corrected = holm([each.p for each in found])
    for (_, below), comparison, p in zip(pairs, found, corrected, strict=True):
        # Ordered by medians, a row may stand above one that wins on most tracks: no win, a tie.
        if p < LEVEL and comparison.first_is_better:
            groups.append([below])
        else:
            groups[-1].append(below)
    return groups
