"""Ranks: rows that do not differ significantly on the test tracks share one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from mss_results.aggregate import Cell
from mss_results.significance import LEVEL, Comparison, compare, holm

Key = tuple[str, str]


@dataclass(frozen=True)
class Candidate:
    """A row eligible for ranking; `fingerprint` is that of its data, empty if unknown."""

    id: str
    cells: Mapping[Key, Cell]
    fingerprint: str
    tracks: tuple[str, ...]


@dataclass(frozen=True)
class Rank:
    """One more than the number of rows in better groups, and the other rows of the group."""

    position: int
    tied: tuple[str, ...]


def rank(candidates: Sequence[Candidate]) -> dict[str, dict[Key, Rank]]:
    """Id -> (stem, metric) -> rank, for rows that share their tracks with at least one other.

    Within a column, rows are sorted by value, and each is compared with the next by a paired
    Wilcoxon test, with Holm's correction over these pairs. A group ends where the better row wins
    at 0.05; the two ends of a long group may differ although no two neighbours do.
    """
    ranks: dict[str, dict[Key, Rank]] = {each.id: {} for each in candidates}
    for pool in pools(candidates):
        for key in sorted({key for each in pool for key in each.cells}):
            for id, column_rank in _rank_column(pool, key):
                ranks[id][key] = column_rank
    return ranks


def pools(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Group rows that were scored on the same data and tracks.

    Rows of unknown data join those with the same tracks if the latter share a fingerprint.
    """
    known: dict[tuple[str, ...], set[str]] = {}
    for each in candidates:
        known.setdefault(each.tracks, set()).add(each.fingerprint)
    by_data: dict[tuple[str, tuple[str, ...]], list[Candidate]] = {}
    for each in candidates:
        prints = known[each.tracks] - {""}
        fingerprint = next(iter(prints)) if len(prints) == 1 else each.fingerprint
        by_data.setdefault((fingerprint, each.tracks), []).append(each)
    return [by_data[key] for key in sorted(by_data)]


def compare_all(
    candidates: Sequence[Candidate], key: Key
) -> list[tuple[str, str, Comparison, float]]:
    """All pairs of rows on the same tracks: ids, comparison, p Holm-corrected over all pairs."""
    pairs = [
        (first, second, compare(first.cells[key].by_track, second.cells[key].by_track))
        for pool in pools(candidates)
        for first, second in combinations([each for each in pool if _is_scored(each, key)], 2)
    ]
    corrected = holm([comparison.p for _, _, comparison in pairs])
    return [
        (first.id, second.id, comparison, p)
        for (first, second, comparison), p in zip(pairs, corrected, strict=True)
    ]


def _is_scored(candidate: Candidate, key: Key) -> bool:
    return key in candidate.cells and candidate.cells[key].is_scored


def _rank_column(pool: Sequence[Candidate], key: Key) -> Iterator[tuple[str, Rank]]:
    scored = [each for each in pool if _is_scored(each, key)]
    scored.sort(key=lambda each: (-each.cells[key].value, each.id))
    if len(scored) < 2:
        return
    position = 1
    for group in _groups(scored, key):
        ids = [each.id for each in group]
        for id in ids:
            yield id, Rank(position, tuple(other for other in ids if other != id))
        position += len(group)


def _groups(scored: Sequence[Candidate], key: Key) -> list[list[Candidate]]:
    pairs = list(zip(scored, scored[1:], strict=False))
    comparisons = [
        compare(above.cells[key].by_track, below.cells[key].by_track) for above, below in pairs
    ]
    groups = [[scored[0]]]
    corrected = holm([each.p for each in comparisons])
    for (_, below), comparison, p in zip(pairs, comparisons, corrected, strict=True):
        # A row with the higher median may still lose on most tracks: that counts as a tie.
        if p < LEVEL and comparison.first_is_better:
            groups.append([below])
        else:
            groups[-1].append(below)
    return groups
