"""Others' weights: published files of one network, folders of the authors' layout.

vocals.pth or vocals-b62c91ce.pth    a target's state dict
vocals.json                          how it was trained; not needed to load it
separator.json                       {"nfft", "nhop", "sample_rate", "nb_channels"}
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from mss_shared.checkpoints.checkpoint import Checkpoint, fill
from mss_shared.checkpoints.third_party import read_foreign
from mss_shared.recipe import find_recipe, load_recipe
from open_unmix.build import build_separator
from open_unmix.recipe import ModelConfig, Recipe
from open_unmix.separator import Separator

LEGACY = ("sample_rate", "stft.window", "transform.0.window")  # of the 2019 files, all constant
BASE_RECIPE = "umxhq_vocals"  # for what no file says: chunks and protocols
DIGEST = re.compile(r"[-_][0-9a-f]{8}$")
SEPARATOR_KEYS = ("nfft", "nhop", "sample_rate", "nb_channels")


def adapt(
    state: Mapping[str, Tensor], model: Separator, name: str
) -> tuple[dict[str, Tensor], list[str]]:
    """Turn the state dict of one network into that of a separator of one target.

    The entries of 2019 that no network has are dropped; anything else that does not fit is left
    in place, for strict loading to refuse.
    """
    if any(key.startswith("target_models.") for key in state) or len(model.targets) != 1:
        return dict(state), []
    [target] = model.targets
    dropped = [key for key in LEGACY if key in state]
    notes = [f"{name}: dropped {', '.join(dropped)}, which are constants"] if dropped else []
    constants = {k: v for k, v in model.state_dict().items() if not k.startswith("target_models.")}
    named = {f"target_models.{target}.{k}": v for k, v in state.items() if k not in dropped}
    notes.append(f"{name}: {len(named)} tensors, read as the network of {target}")
    return {**constants, **named}, notes


def open_folder(folder: Path, recipe_name: str | None) -> list[Checkpoint]:
    """The networks of a folder in the authors' layout, each as a separator of one target.

    Sizes are read off the weights, direction and layers among them, which the authors' loader
    does not.

    Raises:
        FileNotFoundError: if there is no weights file or no separator.json.
        ValueError: if separator.json lacks a key, or the weights are no network's.
    """
    files = {DIGEST.sub("", path.stem): path for path in sorted(folder.glob("*.pth"))}
    if not files or not (folder / "separator.json").is_file():
        raise FileNotFoundError(
            f"{folder} holds {len(files)} .pth files and "
            f"{'a' if (folder / 'separator.json').is_file() else 'no'} separator.json: give a run "
            f"folder, or one with <target>.pth files and separator.json"
        )
    about = _read_separator(folder / "separator.json")
    base = load_recipe(Recipe, find_recipe("open_unmix", recipe_name or BASE_RECIPE)).recipe
    return [_open(path, target, about, base) for target, path in files.items()]


def _open(path: Path, target: str, about: dict[str, Any], base: Recipe) -> Checkpoint:
    state = read_foreign(path).state
    config = read_sizes(state, path, target, about)
    model = build_separator(**config.__dict__)
    state, notes = adapt(state, model, path.name)
    recipe = replace(base, reproduces=None, model=config)
    name = path.parent.resolve().name
    return Checkpoint(fill(model, state, path), recipe, name, None, None, None, tuple(notes))


def read_sizes(
    state: Mapping[str, Tensor], path: Path, target: str, about: Mapping[str, Any]
) -> ModelConfig:
    """The model section that a network's weights and separator.json add up to.

    Raises:
        ValueError: if the weights lack what gives the sizes.
    """
    try:
        hidden, max_bin = len(state["fc1.weight"]), len(state["input_mean"])
        layers = sum(re.fullmatch(r"lstm\.weight_ih_l\d+", key) is not None for key in state)
        channels = len(state["bn3.weight"]) // len(state["output_mean"])
    except KeyError as error:
        raise ValueError(f"{path} lacks {error.args[0]}: it is no network of Open-Unmix") from None
    rate, n_fft = round(about["sample_rate"]), int(about["nfft"])
    return ModelConfig(
        targets=(target,),
        sample_rate=rate,
        nb_channels=channels,
        n_fft=n_fft,
        n_hop=int(about["nhop"]),
        bandwidth_hz=(max_bin - 0.5) * rate / n_fft,  # between the last bin and the next
        hidden_size=hidden,
        nb_layers=layers,
        unidirectional="lstm.weight_ih_l0_reverse" not in state,
        pipeline="1.3.0",
        niter=1,
        softmask=False,
        wiener_win_len=300,
    )


def _read_separator(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON ({error.msg}): mend the file") from None
    missing = [key for key in SEPARATOR_KEYS if not isinstance(found, dict) or key not in found]
    if missing:
        raise ValueError(f"{path} lacks {missing[0]}: give {', '.join(SEPARATOR_KEYS)}")
    return dict(found)
