"""Checkpoints of runs that need not have ended: ``best.ckpt`` and ``last.ckpt`` of a run folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mss_shared.checkpoints.strict_loading import build_filled, outline
from mss_shared.interfaces import Checkpoint
from mss_shared.names import name_like, real_path, shorten
from mss_shared.paper import AnyPaper
from mss_shared.recipe import is_verbatim, recipe_from_text, shipped_recipes
from mss_shared.small_files import read_small_text
from mss_shared.yaml_text import read_text

MOST_STEPS = 2**53  # a JSON number, too


def is_of_run(path: Path) -> bool:
    """Whether a file is a checkpoint in the folder of a run, which may still go on."""
    return path.suffix == ".ckpt" and (path.parent / "recipe.yaml").is_file()


def from_run(
    paper: AnyPaper, path: Path, content: Any, adapt: Callable[[Any], Mapping[str, Tensor]]
) -> Checkpoint:
    """Load a checkpoint of a run that need not have ended; ``fit`` may replace it meanwhile.

    Weights and steps are from one reading of the file. Which songs the run trains on is written
    down when it ends, so here it is unknown, and the result reproduces no claimed row.

    Args:
        paper: the package of the model.
        path: of the file.
        content: all that it holds.
        adapt: model -> the weights of that content, by the model's names.

    Raises:
        ValueError: if the run's recipe can't be read, or the weights are not its model's.
    """
    recipe = recipe_from_text(paper.recipe_type, read_text(path.parent / "recipe.yaml"), "recipe")
    names = [file.stem for file in shipped_recipes(paper.name) if is_verbatim(recipe, file.stem)]
    name = names[0] if names else name_like(real_path(path.parent).name, "recipe")
    steps = _read_steps(content, path)
    model = outline(lambda: paper.build_model(recipe), recipe.model, content, path)
    state = adapt(model)
    unknown = dict.fromkeys(("dataset", "fingerprint", "tracks", "extra_data"))
    return Checkpoint(
        model=build_filled(lambda: paper.build_model(recipe), recipe.model, state, path),
        recipe=recipe,
        recipe_name=name,
        verbatim=False,  # the recipe trains to the end
        leaf_sources=None,
        training={**unknown, "seed": _find_seed(path.parent, recipe), "steps": steps},
        notes=(f"{path}: recipe {name}, after {steps} steps of a run that need not have ended",),
    )


def _read_steps(content: Any, path: Path) -> int | None:
    steps = content.get("global_step") if isinstance(content, dict) else None
    if steps is not None and (type(steps) is not int or not 0 <= steps <= MOST_STEPS):
        raise ValueError(f"{path} is damaged: its global_step is {shorten(steps)}, no count")
    return steps


def _find_seed(folder: Path, recipe: Any) -> int:
    """The seed of a run that need not have ended: ``fit --seed``, or the recipe's."""
    file = folder / "recipe.digest"
    lines = read_small_text(file).splitlines() if file.is_file() else []
    is_seed = len(lines) > 2 and re.fullmatch(r"[0-9]{1,10}", lines[2]) is not None
    return int(lines[2]) if is_seed else int(recipe.training.seed)
