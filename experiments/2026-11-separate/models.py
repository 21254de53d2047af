"""What the other scripts separate with: a toy, demo checkpoints, recipes with random weights."""

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mss_shared.checkpoint import load_checkpoints
from mss_shared.recipe import InferenceConfig, find_recipe, load_recipe

RUNS = Path(__file__).parents[1] / "runs"
TOY_INFERENCE = InferenceConfig(4.0, 0.5, 0.0, "triangle", "none")


class Toy(nn.Module):
    """Four stems by filters of two samples: nearly free, so that reading and writing show."""

    stems = ("vocals", "drums", "bass", "other")
    sample_rate = 44_100
    channels = 2

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample)."""
        low = 0.5 * (mixture + mixture.roll(1, -1))
        return torch.stack([0.6 * low, 0.4 * low, 0.5 * (mixture - low), 0.3 * mixture], dim=1)


def load(name: str) -> tuple[Any, InferenceConfig]:
    """The toy, PACKAGE:RECIPE untrained, or runs/NAME, where NAME begins with a package."""
    if name == "toy":
        return Toy(), TOY_INFERENCE
    package, _, wanted = name.partition(":")
    if wanted:
        paper = import_module(f"{package}.__main__").PAPER
        recipe = load_recipe(paper.recipe, find_recipe(package, wanted)).recipe
        torch.manual_seed(0)
        return paper.join_models([paper.build_model(recipe)], recipe, {}), recipe.inference
    folder = Path(name) if "/" in name else RUNS / name
    paper = import_module(f"{folder.name.split('-')[0]}.__main__").PAPER
    [checkpoint] = load_checkpoints(paper, str(folder))
    model = paper.join_models([checkpoint.model], checkpoint.recipe, {})
    return model, checkpoint.recipe.inference
