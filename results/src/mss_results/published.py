"""Which claim a run measures, and where a row of the page was published."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mss_results.aggregate import Cell
from mss_results.board import Board, Row, is_whole_test_set
from mss_results.sources import Source, sources_of

Claimed = Mapping[tuple[str, str], Cell]


def claims_of(board: Board) -> dict[int, int]:
    """Index of a run's row -> index of the claim it measures.

    That is the claim it reproduces. Where neither names a recipe of ours, it is the claim of the
    same method, if the board has one run and one claim of that name and the run is complete.
    """
    recipes = {row.recipe: index for index, row in enumerate(board.rows) if not row.run}
    found: dict[int, int] = {}
    for index, row in enumerate(board.rows):
        if row.claimed:
            found[index] = recipes[row.reproduces]
    runs, claims = _by_method(board, runs=True), _by_method(board, runs=False)
    for method in runs.keys() & claims.keys():
        (run, *others), (claim, *rest) = runs[method], claims[method]
        if not others and not rest and _may_measure(board, board.rows[run], board.rows[claim]):
            found[run] = claim
    return found


def joined_rows(board: Board) -> tuple[Row, ...]:
    """The rows of the board, where a run and the claim that it measures are one.

    The run's row holds the claimed values, the claim's sources after its own, and what it leaves
    open itself: extra data and parameters.
    """
    claims = claims_of(board)
    joined = set(claims.values())
    return tuple(
        _with_claim(row, board.rows[claims[index]]) if index in claims else row
        for index, row in enumerate(board.rows)
        if index not in joined
    )


def _with_claim(run: Row, claim: Row) -> Row:
    return replace(
        run,
        claimed={key: cell.value for key, cell in claim.cells.items()},
        extra_data=run.extra_data or claim.extra_data,
        parameters=run.parameters or claim.parameters,
        sources=(*run.sources, *claim.sources),
        notes=tuple(dict.fromkeys((*run.notes, *claim.notes))),
    )


def _may_measure(board: Board, run: Row, claim: Row) -> bool:
    unnamed = not (run.reproduces or claim.recipe or run.is_variant)
    return unnamed and is_whole_test_set(board.dataset, run.tracks)


def _by_method(board: Board, runs: bool) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index, row in enumerate(board.rows):
        if bool(row.run) == runs:
            found.setdefault(row.method, []).append(index)
    return found


def published(row: Row, claimed: Claimed, sources: Sequence[Source]) -> dict[str, object]:
    """Year, venue and links of a row's sources, and the key of its BibTeX entry."""
    found = _sources(row, claimed, sources)
    paper = found[0] if found and found[0].year is not None else None
    return {
        "year": paper and paper.year,
        "venue": paper.venue if paper else "",
        "bibtex": paper and paper.key,
        "links": list(dict.fromkeys(link for source in found for link in source.links)),
    }


def bibliography(board: Board, sources: Sequence[Source]) -> dict[str, str]:
    """Key -> BibTeX entry of every publication that a row names."""
    claims = claims_of(board)
    found = [
        source
        for index, row in enumerate(board.rows)
        for source in _sources(
            row, board.rows[claims[index]].cells if index in claims else {}, sources
        )
    ]
    return {source.key: source.bibtex for source in found if source.bibtex}


def _sources(row: Row, claimed: Claimed, sources: Sequence[Source]) -> tuple[Source, ...]:
    recipe = f"{row.method}/{row.recipe}" if row.run else row.recipe
    names = (row.reproduces, recipe, recipe.split("/")[0], row.method)
    quotes = [cell.source for cell in claimed.values()] if row.run else row.sources
    return sources_of(sources, [name for name in names if name], dict.fromkeys(quotes))
