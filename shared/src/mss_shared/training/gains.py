"""Gains drawn evenly in decibels."""

from __future__ import annotations

import numpy as np

from mss_shared.audio import Audio


def draw_gains_db(stems: int, range_db: tuple[float, float], rng: np.random.Generator) -> Audio:
    """One linear gain per stem, (stem, 1, 1) float32; its level is uniform in ``range_db``."""
    decibels = rng.uniform(*range_db, size=(stems, 1, 1))
    gains: Audio = (10.0 ** (decibels / 20.0)).astype(np.float32)
    return gains
