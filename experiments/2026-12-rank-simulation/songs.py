"""Simulated scores: what songs, methods and seeds do to the score of a track, in dB."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Of the ten best systems of SiSEC 2018, SDR of drums, bass and other: songs differ by 2.1 to 3.4 dB
# (standard deviation), methods on one song by 0.7 to 0.9 dB beyond song and method.
SONG_DB = 2.5
METHOD_DB = 0.8
# Of the 50 songs of the vocals column, a few are 10 to 30 dB below the others.
HARD_PROB = 0.04
HARD_DB = 12.0
SEED_DB = 0.15  # one recipe, level of a run
SEED_TRACK_DB = 0.4  # one recipe, a run on one song beyond its level

Scores = NDArray[np.float64]


def draw_songs(random: np.random.RandomState, stems: int, tracks: int, hard: bool) -> Scores:
    """(stem, track): how easy the songs are; a fifth of the variance is common to the stems."""
    common = random.normal(size=tracks)
    own = random.normal(size=(stems, tracks))
    songs = 5 + SONG_DB * (np.sqrt(0.2) * common + np.sqrt(0.8) * own)
    if hard:
        songs -= HARD_DB * (random.uniform(size=(stems, tracks)) < HARD_PROB)
    return songs


def draw_rows(random: np.random.RandomState, levels: Scores, stems: int, tracks: int) -> Scores:
    """(row, stem, track) scores of methods of these levels; a tail as heavy as Student's t(5)."""
    songs = draw_songs(random, stems, tracks, hard=True)
    own = random.standard_t(5, size=(len(levels), stems, tracks)) * np.sqrt(3 / 5)
    return levels[:, None, None] + songs + METHOD_DB * own


def draw_seeds(random: np.random.RandomState, seeds: int, tracks: int) -> Scores:
    """(seed, track) scores of runs of one recipe."""
    songs = draw_songs(random, 1, tracks, hard=True)[0]
    levels = SEED_DB * random.normal(size=(seeds, 1))
    return songs + levels + SEED_TRACK_DB * random.normal(size=(seeds, tracks))


def draw_runs(
    random: np.random.RandomState,
    levels: Scores,
    seeds: int,
    stems: int,
    tracks: int,
    spreads: Sequence[tuple[float, float]] = ((SEED_DB, SEED_TRACK_DB),),
) -> Scores:
    """(recipe, seed, stem, track) scores of runs of recipes of these levels.

    `spreads` are in dB, of a run's level and of its songs; one pair for each recipe, or for all.
    """
    rows = draw_rows(random, levels, stems, tracks)[:, None]
    level_db, track_db = np.array(spreads).T[:, :, None, None, None]
    runs = level_db * random.normal(size=(len(levels), seeds, 1, 1))
    return rows + runs + track_db * random.normal(size=(len(levels), seeds, stems, tracks))
