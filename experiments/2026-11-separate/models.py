"""What the scripts separate with: a toy, a stand-in for a GPU, demo checkpoints, random weights."""

import time
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mss_shared.checkpoints import load_checkpoints
from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.recipe_sections import InferenceConfig

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


class Elsewhere(nn.Module):
    """Stands for a model on a GPU that runs at 100 times real time: it waits and gives noise."""

    stems = Toy.stems
    sample_rate = Toy.sample_rate
    channels = Toy.channels

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones((), device="meta"))
        self.noise = 0.1 * torch.randn(1, 4, 2, 60 * 44_100)

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample)."""
        time.sleep(mixture.shape[-1] / self.sample_rate / 100.0)
        return self.noise[..., : mixture.shape[-1]]


def load(name: str) -> tuple[Any, InferenceConfig]:
    """A name above, PACKAGE:RECIPE untrained, or runs/NAME, which begins with a package.

    PACKAGE:RECIPE+RECIPE is both recipes' models as the package joins them.
    """
    if name == "toy":
        return Toy(), TOY_INFERENCE
    if name == "elsewhere":
        return Elsewhere(), TOY_INFERENCE
    package, _, wanted = name.partition(":")
    if wanted:
        paper = import_module(f"{package}.paper").PAPER
        recipes = [
            load_recipe(paper.recipe_type, find_recipe(package, name)).recipe
            for name in wanted.split("+")
        ]
        torch.manual_seed(0)
        models = [paper.build_model(recipe).eval() for recipe in recipes]
        return paper.join_models(models, recipes[0], {}), recipes[0].inference
    folder = Path(name) if "/" in name else RUNS / name
    paper = import_module(f"{folder.name.split('-')[0]}.paper").PAPER
    [checkpoint] = load_checkpoints(paper, str(folder))
    model = paper.join_models([checkpoint.model], checkpoint.recipe, {})
    return model, checkpoint.recipe.inference
