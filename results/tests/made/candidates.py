"""Rows to be ranked, from the scores of their tracks."""

import numpy as np

from mss_results.aggregate import Cell
from mss_results.columns import Candidate

KEY = ("vocals", "SDR")
TRACKS = tuple(f"song {index:02d}" for index in range(50))
SONGS = np.random.RandomState(3).normal(6, 2, 50)


def candidate(id, values, fingerprint="f", tracks=TRACKS):
    by_track = dict(zip(tracks, (float(value) for value in values), strict=True))
    cell = Cell(float(np.nanmedian(values)), len(tracks), id, None, by_track)
    return Candidate(id, {KEY: cell}, fingerprint, tracks)
