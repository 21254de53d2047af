"""One model from several checkpoints, with the command line's overlap of windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lasaft.model import Separator
from lasaft.recipe import Recipe
from mss_shared.separation import stems_together


def join(models: Sequence[Separator], recipe: Recipe, given: Mapping[str, Any]) -> Any:
    """A single model as it is, several as one that gives all of their stems.

    Args:
        models: of the checkpoints, each with stems of its own.
        recipe: of the models.
        given: options of the command line by name; ``window_overlap`` replaces the recipe's.

    Raises:
        ValueError: if two models give the same stem, or ``window_overlap`` is not in 0 to 0.5.
    """
    overlap = given.get("window_overlap", recipe.model.window_overlap)
    if not 0.0 <= overlap <= 0.5:
        raise ValueError(f"--window_overlap {overlap}: give 0 to 0.5")
    for model in models:
        model.window_overlap = overlap
    return stems_together(models)
