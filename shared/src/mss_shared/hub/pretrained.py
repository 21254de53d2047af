"""config.json and model.safetensors in a folder, for ``from_pretrained`` and ``save_pretrained``.

A model that a recipe built is stored with its recipe, any other with its constructor's arguments:

{"paper": "bs_roformer", "architecture": "BSRoformer", "stems": [...], "sample_rate": 44100,
 "recipe_name": "demo", "recipe": {...}}                  # or
 "positional": [], "arguments": {"dim": 32, ...}}

Both files are untrusted: a class is never looked up by a name in them, no name in them becomes a
path, and the weights must be the model's, all and no others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mss_shared.atomic import write_all
from mss_shared.checkpoints.checkpoint import load_checkpoints, save_model
from mss_shared.checkpoints.published import find_published, read_published
from mss_shared.checkpoints.strict_loading import build_filled
from mss_shared.checkpoints.third_party import read_weights_file
from mss_shared.hub.remote import CONFIG, WEIGHTS, fetch, is_repository
from mss_shared.json_text import read_json_object
from mss_shared.names import check_file_name, check_name, shorten
from mss_shared.paper import AnyPaper
from mss_shared.recipe import is_verbatim, recipe_from_text, shipped_recipes, to_yaml

_LEFT_OUT = "save the model again with save_pretrained"


def open_pretrained(
    paper: AnyPaper, kind: type[Any], source: str, *, revision: str | None = None
) -> Any:
    """A model in evaluation mode on the CPU.

    Args:
        paper: the package of the class.
        kind: the class.
        source: a folder that ``save_pretrained`` or ``<paper> card`` wrote; a run folder or weights
            file; a published name of the package; or ``user/name`` on the hub.
        revision: on the hub: branch, tag or commit.

    Raises:
        FileNotFoundError: if there is no such model, or it can't be fetched.
        ModuleNotFoundError: without huggingface_hub, for one on the hub.
        ValueError: if it is of another class, can't be read, or the weights do not fit.
    """
    path = Path(source).expanduser()
    if not path.exists() and not find_published(paper.name, source):
        if not is_repository(source):
            names = ", ".join(read_published(paper.name))
            raise FileNotFoundError(
                f"there is no folder {path}: give a folder, user/name on the hub"
                + (f", or one of {names}" if names else "")
            )
        path = fetch(source, revision)
        if not (path / CONFIG).is_file():
            raise FileNotFoundError(f"{source} has no {CONFIG}: it holds no model of ours")
    if (path / CONFIG).is_file():
        return _open_folder(paper, kind, path)
    opened = load_checkpoints(paper, source)
    model = opened[0].model
    if len(opened) > 1:
        model = paper.join_models([each.model for each in opened], opened[0].recipe, {})
    return _check_kind(model, kind, source)


def save_pretrained(paper: AnyPaper, model: Any, folder: Path) -> None:
    """Write config.json and model.safetensors: both, or none.

    Args:
        paper: the package of the model.
        model: built by a recipe, or by its constructor from plain values.
        folder: may exist; weights in it are replaced only if a config.json is beside them.

    Raises:
        ValueError: if an argument of the constructor is no plain value, or the folder holds weights
            of something else.
        OSError: if it can't be written.
    """
    if (folder / WEIGHTS).exists() and not (folder / CONFIG).exists():
        raise ValueError(
            f"{folder / WEIGHTS} is there without {CONFIG}, as in a run folder: choose another "
            f"folder"
        )
    config, header = describe(paper, model)
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    write_all(  # a kill between the two leaves a config alone, over which the next call can write
        {
            folder / CONFIG: lambda part: part.write_text(text, encoding="utf-8"),
            folder / WEIGHTS: lambda part: save_model(part, model, header),
        }
    )


def describe(
    paper: AnyPaper, model: Any, recipe_name: str | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """The content of config.json, and the metadata of the weights.

    Args:
        paper, model: as in ``save_pretrained``.
        recipe_name: of the model's recipe; by default that of the shipped one with its values.

    Raises:
        ValueError: if an argument of the constructor is no plain value.
    """
    config: dict[str, Any] = {"paper": paper.name, "architecture": type(model).__name__}
    for name in ("stems", "sample_rate", "channels"):
        value = getattr(model, name, None)
        if value is not None:
            config[name] = list(value) if name == "stems" else value
    recipe = getattr(model, "recipe", None)
    if recipe is not None:
        name = recipe_name or _find_name(paper, recipe)
        text = to_yaml(recipe)
        header = {"paper": paper.name, "recipe": text, "recipe_name": name}
        header |= dict.fromkeys(("verbatim", "leaf_sources", "training", "origin"), "null")
        return {**config, "recipe_name": name, "recipe": yaml.safe_load(text)}, header
    positional, arguments = model.constructor_arguments()
    plain = {"positional": positional, "arguments": arguments}
    return {**config, **{key: _plain(value, key) for key, value in plain.items()}}, {}


def _find_name(paper: AnyPaper, recipe: Any) -> str:
    names = (path.stem for path in shipped_recipes(paper.name))
    return next((name for name in names if is_verbatim(recipe, name)), "custom")


def _plain(value: Any, name: str) -> Any:
    """A value as JSON has it."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, name) for item in value]
    raise ValueError(
        f"the argument {name} of the model is {shorten(value)}, which {CONFIG} can't hold: build "
        f"the model from plain values or by a recipe"
    )


def _open_folder(paper: AnyPaper, kind: type[Any], folder: Path) -> Any:
    config = read_json_object(folder / CONFIG, _LEFT_OUT)
    if config.get("paper") != paper.name:
        raise ValueError(
            f"{folder / CONFIG} is of {shorten(config.get('paper'))}, not of {paper.name}: open it "
            f"with its own package"
        )
    path = folder / WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: {_LEFT_OUT}")
    state = read_weights_file(path, paper.read_pickled).state
    build, settings = _builder(paper, kind, config, folder)
    model = build_filled(build, settings, state, path)
    for stem in getattr(model, "stems", ()):
        check_file_name(stem, "the name of a stem")
    return model


def _builder(
    paper: AnyPaper, kind: type[Any], config: Mapping[str, Any], folder: Path
) -> tuple[Any, Any]:
    """What builds the model, and the settings by which it does."""
    what = str(folder / CONFIG)
    if isinstance(config.get("recipe"), dict):
        name = check_name(config.get("recipe_name"), f"the recipe_name of {what}")
        text = yaml.safe_dump(config["recipe"], sort_keys=False, allow_unicode=True)
        recipe = recipe_from_text(paper.recipe_type, text, name)
        return lambda: _check_kind(paper.build_model(recipe), kind, what), recipe.model
    positional, arguments = config.get("positional"), config.get("arguments")
    if not isinstance(positional, list) or not isinstance(arguments, dict):
        raise ValueError(f"{what} has neither a recipe nor arguments: {_LEFT_OUT}")
    if config.get("architecture") != kind.__name__:
        raise ValueError(
            f"{what} is of {shorten(config.get('architecture'))}, not of {kind.__name__}: open it "
            f"with that class"
        )
    return lambda: kind.construct(positional, arguments), [positional, arguments]


def _check_kind(model: Any, kind: type[Any], what: str) -> Any:
    if not isinstance(model, kind):
        raise ValueError(
            f"{what} is of {type(model).__name__}, not of {kind.__name__}: open it with that class"
        )
    return model
