"""What a reproduction of a claimed row consists of: recipes, run folders, a budget."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mss_shared import atomic
from mss_shared.datasets import Dataset
from mss_shared.json_text import read_json
from mss_shared.paper import AnyPaper
from mss_shared.recipe import LoadedRecipe, find_recipe, load_recipe, recipe_digest, shipped_recipes


@dataclass(frozen=True)
class Fit:
    """One recipe of the row.

    Attributes:
        loaded: the recipe, as it is trained.
        stems: what its model separates.
        folder: of its run.
    """

    loaded: LoadedRecipe[Any]
    stems: tuple[str, ...]
    folder: Path

    @property
    def name(self) -> str:
        """Of the recipe."""
        return self.loaded.name

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run, if it is not stopped early."""
        recipe = self.loaded.recipe
        epoch = max(1, recipe.data.examples_per_epoch // recipe.training.batch)
        return int(epoch * recipe.training.epochs)

    def is_done(self, dataset: Dataset) -> bool:
        """Whether the run is complete.

        Raises:
            ValueError: if it is one of another recipe or data set.
        """
        record = read_object(self.folder / "run.json")
        if not record or not (self.folder / "model.safetensors").is_file():
            return False
        training = record.get("training")
        data = training.get("fingerprint") if isinstance(training, dict) else None
        ours = recipe_digest(self.loaded.recipe), dataset.fingerprint
        if (record.get("recipe_digest"), data) != ours:
            raise ValueError(
                f"{self.folder} holds a run of another recipe or data set: choose another --out"
            )
        return True


def list_rows(paper: AnyPaper) -> dict[str, list[Path]]:
    """Every claimed row that the package has recipes of, with their files."""
    rows: dict[str, list[Path]] = {}
    for path in shipped_recipes(paper.name):
        row = load_recipe(paper.recipe_type, path).recipe.reproduces
        if row is not None:
            rows.setdefault(row, []).append(path)
    return rows


def find_row(paper: AnyPaper, name: str) -> tuple[str, list[Path]]:
    """A claimed row by its name, with or without that of the package.

    Raises:
        ValueError: if there is none.
    """
    rows = list_rows(paper)
    row = name if name in rows else f"{paper.name}/{name}"
    if row not in rows:
        known = ", ".join(each.rpartition("/")[2] for each in rows) or "none"
        raise ValueError(f"{name} is no claimed row of {paper.name}: choose from {known}")
    return row, rows[row]


def plan_fits(
    paper: AnyPaper, recipes: Sequence[Path], out: Path, overrides: Sequence[str] = ()
) -> list[Fit]:
    """The runs of a row's recipes, in folders below ``out``."""
    fits = []
    for path in recipes:
        loaded = load_recipe(paper.recipe_type, find_recipe(paper.name, path.stem), overrides)
        with torch.device("meta"):
            stems = tuple(paper.build_model(loaded.recipe).stems)
        fits.append(Fit(loaded, stems, out / loaded.name))
    return fits


def group_fits(fits: Sequence[Fit]) -> list[list[Fit]]:
    """Fits that are scored together, as one model of all their stems.

    If two have a stem in common, they are alternatives, and each is scored alone.
    """
    stems = [stem for fit in fits for stem in fit.stems]
    return [[*fits]] if len(set(stems)) == len(stems) else [[fit] for fit in fits]


def short_run(steps: int) -> tuple[str, ...]:
    """Changes of a recipe that make its run a few steps of one example each."""
    return (
        "--recipe.training.batch=1",
        "--recipe.training.epochs=1",
        f"--recipe.data.examples_per_epoch={steps}",
    )


def keep_choice(out: Path, row: str, dataset: Dataset, budget: str | None) -> Path:
    """Say in ``out`` which reproduction it holds.

    Returns:
        The file, in which ``steps`` may be kept.

    Raises:
        ValueError: if it holds another.
    """
    file = out / "reproduce.json"
    choice = {"row": row, "data": dataset.fingerprint, "budget": budget}
    held = read_object(file)
    if not held:
        atomic.write_text(file, json.dumps(choice) + "\n")
    for name, value in choice.items() if held else ():
        if held.get(name) != value:
            what = {"row": "row", "data": "data set", "budget": "budget"}[name]
            raise ValueError(
                f"{out} holds a reproduction with another {what}: choose another --out"
            )
    return file


def read_object(file: Path) -> dict[str, Any]:
    """A JSON object; empty if there is no such file, or it holds no object."""
    try:
        found = read_json(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remember_steps(file: Path, steps: int) -> None:
    """Keep the steps of each recipe, so that a resumed reproduction has the same."""
    atomic.write_text(file, json.dumps({**read_object(file), "steps": steps}) + "\n")
