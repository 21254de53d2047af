"""Which recipes third-party weights fit, by the names and shapes of their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mss_shared.checkpoints.third_party import WeightsFile
from mss_shared.checkpoints.weight_names import strip_prefixes
from mss_shared.paper import AnyPaper
from mss_shared.recipe import load_recipe, shipped_recipes


def adapt_weights(
    paper: AnyPaper, path: Path, weights: WeightsFile, model: Any
) -> tuple[dict[str, Tensor], list[str]]:
    """Rename a file's weights to a model's keys, with a note on every change.

    Raises:
        ValueError: if the paper recognises them as weights of another model.
    """
    state, stripped = strip_prefixes(weights.state, model.state_dict())
    notes = [*weights.notes, *stripped]
    state, changes = paper.adapt(state, model, path.name)
    return state, [*notes, *changes]


def fitting_recipes(paper: AnyPaper, path: Path, weights: WeightsFile) -> list[str]:
    """The recipes whose models have exactly the names and shapes of a file's weights."""
    names = []
    for recipe_path in shipped_recipes(paper.name):
        recipe = load_recipe(paper.recipe_type, recipe_path).recipe
        model = _skeleton(paper, recipe)
        try:
            state, _ = adapt_weights(paper, path, weights, model)
        except ValueError:
            continue
        if _shapes(state) == _shapes(model.state_dict()):
            names.append(recipe_path.stem)
    return names


def only_fitting_recipe(paper: AnyPaper, path: Path, weights: WeightsFile) -> tuple[str, str]:
    """The one recipe that a file's weights fit, and a note that it was found so.

    Raises:
        ValueError: if none fits, or several do.
    """
    names = fitting_recipes(paper, path, weights)
    if len(names) != 1:
        raise ValueError(
            f"{path} does not say which recipe made it, and its shapes fit "
            f"{', '.join(names) or 'none'}: name it with --recipe"
            + (", or the YAML published with it with --config_path" * paper.opens_configured)
        )
    return names[0], (
        f"read as {names[0]}, the only recipe whose shapes fit; hop and stems can't be told from "
        f"weights"
    )


def _skeleton(paper: AnyPaper, recipe: Any) -> Any:
    """A recipe's model for its names and shapes, on the meta device if it can be built there."""
    try:
        with torch.device("meta"):
            return paper.build_model(recipe)
    except RuntimeError:  # it computes with values while it is built
        return paper.build_model(recipe)


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}
