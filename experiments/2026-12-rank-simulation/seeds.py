"""How often equal recipes of several seeds are told apart: tracks drawn alone, and seeds too."""

from dataclasses import replace

import numpy as np
from boards import cell
from songs import draw_runs

from mss_results.aggregate import Cell
from mss_results.columns import Candidate, Column, Key, compare_columns
from mss_results.seeds import mean_cells
from mss_results.significance import LEVEL
from mss_results.track_file import AVERAGE

BOARDS = 200
RECIPES = 7
SEEDS = 3
POWER_BOARDS = 100
LEADS_DB = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
# Standard deviations of the three seeds' average and, beyond it, of a stem of a song, in dB: of the
# runs on MUSDB18's previews. Five recipes are steady, Moises-Light and LaSAFT are not.
MEASURED = ((0.07, 0.4),) * 5 + ((0.30, 0.99), (0.43, 1.30))
KINDS = {"steady": range(1, 5), "Moises-Light": range(5, 6), "LaSAFT": range(6, 7)}


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


def power(lead: float, seed: int) -> list[dict[str, object]]:
    """How often the first of seven recipes, ahead by so many dB, is told from each kind of other.

    Averages of four medians over 50 songs, three seeds, corrected for all pairs; seeds as unequal
    as those of the runs on MUSDB18's previews.
    """
    random, names = np.random.RandomState(seed), tuple(f"{track:03d}" for track in range(50))
    key, found = (AVERAGE, "SDR"), dict.fromkeys(KINDS, 0)
    levels = np.array([lead] + [0.0] * (len(MEASURED) - 1))
    wrong = 0
    for _ in range(POWER_BOARDS):
        runs = draw_runs(random, levels, SEEDS, 4, len(names), MEASURED)
        rows = [mean_cells([{key: cell(run, names, True)} for run in row])[key] for row in runs]
        pairs = _tested(rows, key, names)
        for kind, others in KINDS.items():
            found[kind] += sum(pairs[frozenset(("0", str(other)))] < LEVEL for other in others)
        wrong += any(p < LEVEL for pair, p in pairs.items() if "0" not in pair)
    return [
        {"lead_db": lead, "other": kind, "boards": POWER_BOARDS,
         "told_apart": f"{count / POWER_BOARDS / len(KINDS[kind]):.3f}",
         "boards_with_a_wrong_order": f"{wrong / POWER_BOARDS:.3f}"}
        for kind, count in found.items()
    ]  # fmt: skip


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
    return [(pair.p, pair.corrected) for pair in _column(cells, key, names).pairs]


def _tested(cells: list[Cell], key: Key, names: tuple[str, ...]) -> dict[frozenset[str], float]:
    """The places of two rows -> p, corrected for all pairs."""
    pairs = _column(cells, key, names).pairs
    return {frozenset((pair.better, pair.worse)): pair.corrected for pair in pairs}


def _column(cells: list[Cell], key: Key, names: tuple[str, ...]) -> Column:
    rows = [Candidate(str(place), {key: each}, "", names) for place, each in enumerate(cells)]
    ((column,),) = compare_columns(rows).values()
    return column
