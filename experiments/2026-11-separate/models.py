"""The models that the other scripts separate with: a toy, and demo checkpoints of run folders."""

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mss_shared.checkpoint import load_checkpoints
from mss_shared.recipe import InferenceConfig

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
    """The toy, or the model in runs/NAME, where NAME begins with the package's name."""
    if name == "toy":
        return Toy(), TOY_INFERENCE
    folder = Path(name) if "/" in name else RUNS / name
    paper = import_module(f"{folder.name.split('-')[0]}.__main__").PAPER
    [checkpoint] = load_checkpoints(paper, str(folder))
    model = paper.join_models([checkpoint.model], checkpoint.recipe, {})
    return model, checkpoint.recipe.inference
