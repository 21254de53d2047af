"""Command-line compatibility with the music fork: its verb `train`, flags and configurations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mss_shared import console
from mss_shared.recipe import shipped_recipes
from mss_shared.yaml_text import parse_yaml, read_text
from tflocoformer_mss.fork_config import is_fork_config, words_from_config

# `train` is `fit` with these flags; all others are those of `fit`.
TRAIN_FLAGS = {
    "--config": "--recipe",
    "--output_dir": "--out",
    "--batch_size": "--recipe.training.batch",
    "--num_epochs": "--recipe.training.epochs",
}
# Flags of the fork's evaluation script; those of its separation script are aliases in __main__.
EVALUATE_FLAGS = {"--config": "--recipe", "--output_dir": "--scores"}
RENAMED = {"musdb18_rtx5090_xlarge": "musdb18_xlarge"}


def translate(package: str, arguments: Sequence[str]) -> list[str]:
    """Replace the fork's words by ours: its verb `train`, its flags, its configurations.

    Args:
        package: whose recipes to look for.
        arguments: of the command line.

    Raises:
        ValueError: if --gpu is not 0, or --config is a file of the fork's keys that can't be read
            as changes of a recipe.
    """
    verb, *words = arguments or [""]
    flags = {"train": TRAIN_FLAGS, "evaluate": EVALUATE_FLAGS}.get(verb, {})
    translated = ["fit" if verb == "train" else verb] if verb else []
    pairs = iter(_config_first(words))
    for word in pairs:
        name, equals, value = word.partition("=")
        if name == "--config" or (name == "--gpu" and verb == "train"):
            value = value if equals else next(pairs, "")
            translated += _pair(package, name, value, flags)
        else:
            translated.append(f"{flags.get(name, name)}{equals}{value}")
    return translated


def _config_first(words: Sequence[str]) -> list[str]:
    """The words with --config in front, so that other flags change what it says."""
    words = list(words)
    for index, word in enumerate(words):
        if word.partition("=")[0] == "--config":
            end = index + 1 + ("=" not in word)
            return [*words[index:end], *words[:index], *words[end:]]
    return words


def _pair(package: str, name: str, value: str, flags: dict[str, str]) -> list[str]:
    """Our words for --config or --gpu and its value; without one, our parser says so."""
    if name == "--gpu":
        if value != "0":
            raise ValueError(
                f"--gpu {value} is not the first GPU: set CUDA_VISIBLE_DEVICES={value} and pass "
                f"--gpu 0"
            )
        return ["--device", "cuda", "--devices", "1"]
    flag = flags.get(name, name)
    if not value:
        return [flag]
    content = _read_fork_config(value)
    if content is None:
        return [flag, find_recipe_name(package, value)]
    if flags is not TRAIN_FLAGS:
        raise ValueError(
            f"{value} is a configuration of the music fork, which only train reads: give the run "
            f"folder as --checkpoint and leave out --config"
        )
    return words_from_config(Path(value), content)


def find_recipe_name(package: str, config: str) -> str:
    """What --recipe should be: for `configs/NAME.yaml` that does not exist, the recipe NAME."""
    path = Path(config).expanduser()
    if path.is_file():
        return config
    shipped = {each.stem for each in shipped_recipes(package)}
    name = RENAMED.get(path.stem, path.stem)
    if name in shipped and path.parent == Path("configs") and path.suffix == ".yaml":
        console.say(f"there is no file {config}: taking the recipe {name} of this package")
        return name
    return RENAMED.get(config, config)


def _read_fork_config(config: str) -> dict[str, Any] | None:
    """The content of a file with the fork's keys; None for anything else."""
    path = Path(config).expanduser()
    if not path.is_file():
        return None
    try:
        content = parse_yaml(read_text(path), str(path))
    except ValueError:
        return None  # reading it as a recipe says what is wrong
    return content if is_fork_config(content) else None
