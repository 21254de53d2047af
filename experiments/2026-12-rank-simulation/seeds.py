"""How often equal recipes of several seeds are told apart: tracks drawn alone, and seeds too."""

from dataclasses import replace

import numpy as np
from boards import cell
from songs import draw_runs

from mss_results.aggregate import Cell
from mss_results.columns import Candidate, Key, compare_columns
from mss_results.seeds import mean_cells
from mss_results.significance import LEVEL
from mss_results.track_file import AVERAGE

BOARDS = 200
RECIPES = 7
SEEDS = 3


def false_alarms(tracks: int, seed: int) -> list[dict[str, object]]:
    """One line per kind of value and of test: p of single pairs, and boards with any order."""
    return [
        {"value": value, "test": test, "tracks": tracks, "boards": BOARDS, **shares}
        for value, stems, key in (
            ("median", 1, ("vocals", "SDR")),
            ("average of 4 medians", 4, (AVERAGE, "SDR")),
        )
        for test, shares in _shares(np.random.RandomState(seed), tracks, stems, key).items()
    ]


def _shares(
    random: np.random.RandomState, tracks: int, stems: int, key: Key
) -> dict[str, dict[str, object]]:
    names = tuple(f"{track:03d}" for track in range(tracks))
    low = {"tracks alone": 0, "tracks and seeds": 0}
    ordered = dict(low)
    for _ in range(BOARDS):
        runs = draw_runs(random, np.zeros(RECIPES), SEEDS, stems, tracks)
        rows = [mean_cells([{key: cell(run, names, True)} for run in row])[key] for row in runs]
        alone = [replace(row, by_seed=()) for row in rows]
        for test, cells in (("tracks alone", alone), ("tracks and seeds", rows)):
            pairs = _pairs(cells, key, names)
            low[test] += sum(p < LEVEL for p, _ in pairs)
            ordered[test] += any(corrected < LEVEL for _, corrected in pairs)
    count = BOARDS * RECIPES * (RECIPES - 1) / 2
    return {
        test: {
            "p_below_0.05": f"{low[test] / count:.4f}",
            "boards_with_an_order": f"{ordered[test] / BOARDS:.3f}",
        }
        for test in low
    }


def _pairs(cells: list[Cell], key: Key, names: tuple[str, ...]) -> list[tuple[float, float]]:
    rows = [Candidate(str(place), {key: each}, "", names) for place, each in enumerate(cells)]
    ((column,),) = compare_columns(rows).values()
    return [(pair.p, pair.corrected) for pair in column.pairs]
