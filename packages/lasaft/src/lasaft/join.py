"""Checkpoints as one model, with the command line's overlap of windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lasaft.model import Separator
from lasaft.recipe import Recipe
from mss_shared.separation.separator import stems_together


def join(models: Sequence[Separator], recipe: Recipe, given: Mapping[str, Any]) -> Any:
    """The only model, or several of different stems side by side.

    Raises:
        ValueError: if two give the same stem, or ``window_overlap`` is not in 0 to 0.5.
    """
    overlap = given.get("window_overlap", recipe.model.window_overlap)
    if not 0.0 <= overlap <= 0.5:
        raise ValueError(f"--window_overlap {overlap}: give 0 to 0.5")
    for model in models:
        model.window_overlap = overlap
    return stems_together(models)
