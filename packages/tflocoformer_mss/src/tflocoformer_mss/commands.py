"""The words of the music fork: its verb `train`, its flags, its configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mss_shared.cli import run
from mss_shared.paper import AnyPaper
from mss_shared.recipe import shipped_recipes

WORDS = {
    "config": "--recipe",
    "output_dir": "--out",
    "batch_size": "--recipe.training.batch",
    "num_epochs": "--recipe.training.epochs",
    "gpu": "--devices",
}
# Of its scripts that are verbs of all packages; those of `separate` are aliases.
EVALUATE_WORDS = {"--config": "--recipe", "--output_dir": "--scores"}
RENAMED = {"musdb18_rtx5090_xlarge": "musdb18_xlarge"}


def train(paper: AnyPaper, given: Mapping[str, Any]) -> None:
    """Run `fit` with the flags that were given, so that the run records what it says.

    Raises:
        ValueError: if another GPU than the first is asked for.
    """
    words = ["fit"]
    for name, value in given.items():
        if name == "gpu":
            value = devices(value)
        words.append(WORDS.get(name, f"--{name}"))
        words += [] if value is True else [str(value)]
    run(paper, words)


def devices(gpu: int) -> int:
    """How many devices `--gpu` means: one, the first that can be seen."""
    if gpu != 0:
        raise ValueError(
            f"--gpu {gpu} is not the first: set CUDA_VISIBLE_DEVICES={gpu} and give --gpu 0"
        )
    return 1


def translate(package: str, words: Sequence[str]) -> list[str]:
    """The command line with the fork's configurations as names of recipes, and `evaluate`'s flags.

    `configs/NAME.yaml` is the recipe of that name, unless there is such a file.
    """
    shipped = {path.stem for path in shipped_recipes(package)}
    found: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        flag = EVALUATE_WORDS.get(name, name) if words[0] == "evaluate" else name
        if name == "--config" and equals:
            value = recipe_name(value, shipped)
        elif found and words[len(found) - 1] == "--config":
            flag = recipe_name(word, shipped)
            equals = value = ""
        found.append(f"{flag}{equals}{value}")
    return found


def recipe_name(config: str, shipped: set[str]) -> str:
    """The recipe that a configuration of the fork is, or the word as it was."""
    name = RENAMED.get(Path(config).stem, Path(config).stem)
    return name if name in shipped and not Path(config).expanduser().exists() else config
