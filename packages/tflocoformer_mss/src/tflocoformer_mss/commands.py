"""The verb `train`: `fit` under the names that users of the music fork know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mss_shared.cli import run
from mss_shared.paper import Paper

WORDS = {
    "output_dir": "--out",
    "batch_size": "--recipe.training.batch",
    "num_epochs": "--recipe.training.epochs",
}


def train(paper: Paper, given: Mapping[str, Any]) -> None:
    """Run `fit` with the flags that were given, so that the run records what it says."""
    words = ["fit"]
    for name, value in given.items():
        words.append(WORDS.get(name, f"--{name}"))
        words += [] if value is True else [str(value)]
    run(paper, words)
