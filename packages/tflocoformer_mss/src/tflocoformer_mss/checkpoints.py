"""Weights of others, and what `separate` is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from torch import Tensor

from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.separation.separator import stems_together
from tflocoformer_mss.model import WaveformModel
from tflocoformer_mss.recipe import Recipe

PREFIX = "separator."


def adapt(
    state: Mapping[str, Tensor], model: WaveformModel, name: str
) -> tuple[dict[str, Tensor], list[str]]:
    """Weights under the model's keys, and a line on what was done to them.

    ESPnet's files have the prefix already; those of the stand-alone code and of the music model
    have none. What does not fit is left for strict loading to refuse.
    """
    bare = {key.removeprefix(PREFIX) for key in model.state_dict()}
    if not set(state) & bare:
        return dict(state), []
    named = {PREFIX + key: value for key, value in state.items()}
    return named, [f"{name}: {len(named)} tensors without prefix, read as {PREFIX}*"]


def join(models: Sequence[Any], recipe: Any, given: Mapping[str, Any]) -> Any:
    """One model of several; a single prompted one is asked for `--prompts`.

    Raises:
        ValueError: if there are prompts and several models, or a model that takes none; or if
            `--config` is no recipe or another model's.
    """
    if "config" in given:
        check_config(given["config"], recipe)
    if "prompts" in given:
        if len(models) != 1:
            raise ValueError(f"--prompts with {len(models)} checkpoints: give one")
        models[0].ask(given["prompts"])
    return stems_together(models)


def check_config(name: str, recipe: Recipe) -> None:
    """Raise ValueError unless the model of the recipe of that name is the checkpoint's."""
    asked = load_recipe(Recipe, find_recipe("tflocoformer_mss", name)).recipe.model
    for field in fields(asked):
        theirs, ours = getattr(asked, field.name), getattr(recipe.model, field.name)
        if theirs != ours:
            raise ValueError(
                f"--config {name} has {field.name}={theirs!r}, the checkpoint's recipe {ours!r}: "
                f"leave --config out, or give the checkpoint's own"
            )
