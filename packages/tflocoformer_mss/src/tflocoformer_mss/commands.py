"""Command-line compatibility with the music fork: its verb `train`, flags and configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mss_shared.cli import run
from mss_shared.paper import AnyPaper
from mss_shared.recipe import shipped_recipes

FIT_FLAGS = {
    "config": "--recipe",
    "output_dir": "--out",
    "batch_size": "--recipe.training.batch",
    "num_epochs": "--recipe.training.epochs",
    "gpu": "--devices",
}
# Flags of the fork's evaluation script; those of its separation script are aliases in __main__.
EVALUATE_FLAGS = {"--config": "--recipe", "--output_dir": "--scores"}
RENAMED = {"musdb18_rtx5090_xlarge": "musdb18_xlarge"}


def train(paper: AnyPaper, flags: Mapping[str, Any]) -> None:
    """Run `fit` with the corresponding flags, so that the run records them as its own.

    Args:
        paper: this package.
        flags: of `train`, values by name.

    Raises:
        ValueError: if --gpu is not 0.
    """
    arguments = ["fit"]
    for name, value in flags.items():
        if name == "gpu":
            value = count_devices(value)
        arguments.append(FIT_FLAGS.get(name, f"--{name}"))
        arguments += [] if value is True else [str(value)]
    run(paper, arguments)


def count_devices(gpu: int) -> int:
    """The value of --devices for --gpu: 1, as only the first visible GPU can be chosen."""
    if gpu != 0:
        raise ValueError(
            f"--gpu {gpu} is not the first GPU: set CUDA_VISIBLE_DEVICES={gpu} and pass --gpu 0"
        )
    return 1


def translate(package: str, arguments: Sequence[str]) -> list[str]:
    """Replace the fork's configurations by names of recipes, and its flags of `evaluate` by ours.

    `configs/NAME.yaml` means the recipe NAME, unless a file of that name exists.

    Args:
        package: whose recipes to look for.
        arguments: of the command line.
    """
    shipped = {path.stem for path in shipped_recipes(package)}
    translated: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        flag = EVALUATE_FLAGS.get(name, name) if arguments[0] == "evaluate" else name
        if name == "--config" and equals:
            value = find_recipe_name(value, shipped)
        elif translated and arguments[len(translated) - 1] == "--config":
            flag = find_recipe_name(argument, shipped)
            equals = value = ""
        translated.append(f"{flag}{equals}{value}")
    return translated


def find_recipe_name(config: str, shipped: set[str]) -> str:
    """The shipped recipe that corresponds to a configuration of the fork, else the value itself."""
    name = RENAMED.get(Path(config).stem, Path(config).stem)
    return name if name in shipped and not Path(config).expanduser().exists() else config
