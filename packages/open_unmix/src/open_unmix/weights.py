"""Third-party weights: published files of one network, and folders in the authors' layout.

vocals.pth or vocals-b62c91ce.pth    a target's state dict
vocals.json                          training settings; needed only without separator.json
separator.json                       {"nfft", "nhop", "sample_rate", "nb_channels"}; not in version
                                     1.0.0; ours also has `FILTER_KEYS`
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from mss_shared.checkpoints import build_filled, read_weights_file, strip_prefixes
from mss_shared.interfaces import Checkpoint
from mss_shared.json_text import read_json
from mss_shared.names import name_like, real_path, shorten
from mss_shared.recipe import find_recipe, load_recipe
from open_unmix.build import build_network, build_separator
from open_unmix.recipe import ModelConfig, Recipe
from open_unmix.separator import PIPELINES, Separator, check_filter

LEGACY = ("sample_rate", "stft.window", "transform.0.window")  # constants in the files of 2019
BASE_RECIPE = "umxhq_vocals"  # for chunks and protocols, which no file states
DIGEST = re.compile(r"[-_][0-9a-f]{8}$")
SEPARATOR_KEYS = ("nfft", "nhop", "sample_rate", "nb_channels")
# How the targets are filtered; a folder without separator.json is of version 1.0.0.
FILTER = {"pipeline": "1.3.0", "niter": 1, "softmask": False, "wiener_win_len": 300}
FILTER_2019 = {"pipeline": "1.0.0", "niter": 1, "softmask": False, "wiener_win_len": None}
FILTER_KEYS = tuple(FILTER)
MOST = 1_000_000  # samples or Hz; more is a mistake
MOST_LAYERS = 100  # torch takes the square of this in time to make an LSTM


def adapt(
    state: Mapping[str, Tensor], model: Separator, name: str
) -> tuple[dict[str, Tensor], list[str]]:
    """Convert the state dict of one network to that of a separator with one target.

    Args:
        state: of a network; that of a whole separator is returned as it is.
        model: the separator to load into.
        name: of the file, for the notes.

    Returns:
        The state dict, and notes for the user. The constants in `LEGACY` are dropped; other
        mismatches are left for strict loading to reject.
    """
    if any(key.startswith("target_models.") for key in state) or len(model.targets) != 1:
        return dict(state), []
    [target] = model.targets
    network, notes = _drop_constants(state, target, name)
    constants = {k: v for k, v in model.state_dict().items() if not k.startswith("target_models.")}
    return {**constants, **{f"target_models.{target}.{k}": v for k, v in network.items()}}, notes


def _drop_constants(
    state: Mapping[str, Tensor], target: str, name: str
) -> tuple[dict[str, Tensor], list[str]]:
    """The state dict of a target's network without `LEGACY`, and notes for the user."""
    dropped = [key for key in LEGACY if key in state]
    notes = [f"{name}: dropped {', '.join(dropped)}, which are constants"] if dropped else []
    network = {key: tensor for key, tensor in state.items() if key not in dropped}
    notes.append(f"{name}: {len(network)} tensors, read as the network of {target}")
    return network, notes


def open_folder(folder: Path, recipe_name: str | None) -> list[Checkpoint]:
    """Load the networks of a folder in the authors' layout, each as a separator of one target.

    All sizes come from the weights. The authors' loader does not restore direction and number of
    layers.

    Args:
        folder: with <target>.pth files and separator.json, or with a <target>.json for each, as
            version 1.0.0 wrote them.
        recipe_name: recipe for chunks and protocols; `BASE_RECIPE` if None.

    Raises:
        FileNotFoundError: if weights, or both separator.json and a <target>.json, are missing.
        ValueError: if a .json lacks a key or has a value that no network has, a weights file is not
            a network's or not one of the .json's sizes, or two are of one target.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() == ".pth":
            target = DIGEST.sub("", path.stem)
            if target in files:
                raise ValueError(
                    f"{folder} holds {files[target].name} and {path.name}, two networks of "
                    f"{shorten(target)}: keep one"
                )
            files[target] = path
    has_separator = (folder / "separator.json").is_file()
    has_targets = all((folder / f"{target}.json").is_file() for target in files)
    if not files or not (has_separator or has_targets):
        raise FileNotFoundError(
            f"{folder} holds {len(files)} .pth files and {'a' if has_separator else 'no'} "
            f"separator.json: pass a run folder, or a folder with <target>.pth files and "
            f"separator.json, or a <target>.json for each"
        )
    transform = _read_separator(folder / "separator.json") if has_separator else None
    base = load_recipe(Recipe, find_recipe("open_unmix", recipe_name or BASE_RECIPE)).recipe
    return [_open_network(path, target, transform, base) for target, path in files.items()]


def _open_network(
    path: Path, target: str, transform: dict[str, Any] | None, base: Recipe
) -> Checkpoint:
    """One weights file as a checkpoint, with a recipe of its sizes."""
    file = read_weights_file(path)
    state, stripped = strip_prefixes(file.state)
    if transform is None:
        transform = _read_target(path.parent / f"{target}.json", state)
    config = read_sizes(state, path, target, transform)
    state, notes = _drop_constants(state, target, path.name)
    network = build_filled(lambda: build_network(config), config, state, path)
    model = build_separator({target: network}, **config.__dict__).eval()
    recipe = replace(base, reproduces=None, model=config)
    name = name_like(real_path(path.parent).name, "folder")
    notes = [*file.notes, *stripped, *notes]
    return Checkpoint(model, recipe, name, None, None, None, tuple(notes))


def read_sizes(
    state: Mapping[str, Tensor], path: Path, target: str, transform: Mapping[str, Any]
) -> ModelConfig:
    """Derive the model section of a recipe from a network's weights and separator.json.

    Args:
        state: the weights.
        path: of the weights, for error messages.
        target: stem that the network estimates.
        transform: contents of separator.json with `FILTER_KEYS`.

    Raises:
        ValueError: if the weights lack an entry that sizes are read from, or it is empty; if they
            have too many layers, or the bins or channels of another transform.
    """
    hidden, max_bin = _count_rows(state, "fc1.weight", path), _count_rows(state, "input_mean", path)
    bins = _count_rows(state, "output_mean", path)
    layers = sum(re.fullmatch(r"lstm\.weight_ih_l\d+", key) is not None for key in state)
    if layers > MOST_LAYERS:
        raise ValueError(
            f"{path} has {layers} LSTM layers: pass the weights of a network of at most "
            f"{MOST_LAYERS}"
        )
    channels = _count_rows(state, "bn3.weight", path) // bins
    rate, n_fft = round(transform["sample_rate"]), int(transform["nfft"])
    if (n_fft, transform["nb_channels"]) != (2 * (bins - 1), channels):
        raise ValueError(
            f"{path} is a network of nfft {2 * (bins - 1)} and nb_channels {channels}, the .json "
            f"beside it has {n_fft} and {transform['nb_channels']}: pass the one written with it"
        )
    return ModelConfig(
        targets=(target,),
        sample_rate=rate,
        nb_channels=channels,
        n_fft=n_fft,
        n_hop=int(transform["nhop"]),
        bandwidth_hz=(min(max_bin, bins) - 0.5) * rate / n_fft,  # halfway to the first bin cut
        hidden_size=hidden,
        nb_layers=layers,
        unidirectional="lstm.weight_ih_l0_reverse" not in state,
        **{name: transform[name] for name in FILTER_KEYS},
    )


def _count_rows(state: Mapping[str, Tensor], key: str, path: Path) -> int:
    """The first dimension of a tensor; ValueError if there is none."""
    if key not in state:
        raise ValueError(f"{path} lacks {key}: pass the weights of an Open-Unmix network")
    if state[key].numel() == 0 or state[key].ndim == 0:
        raise ValueError(
            f"{path} has {key} of shape {shorten(tuple(state[key].shape))}: pass the weights of an "
            f"Open-Unmix network"
        )
    return len(state[key])


def _read_separator(path: Path) -> dict[str, Any]:
    """The contents of separator.json, or ValueError if they are not JSON, incomplete or invalid."""
    contents: dict[str, Any] = {**FILTER, **_read_keys(path, read_json(path), SEPARATOR_KEYS)}
    for name, kind in (("niter", int), ("softmask", bool), ("wiener_win_len", int)):
        value = contents[name]
        if type(value) is not kind and not (name == "wiener_win_len" and value is None):
            raise ValueError(
                f"{path} has {name} {shorten(value)}: it must be of type {kind.__name__}"
            )
    check_filter(contents["niter"], contents["wiener_win_len"], f"{path} has")
    if contents["pipeline"] not in PIPELINES:
        raise ValueError(
            f"{path} has pipeline {shorten(contents['pipeline'])}: choose from "
            f"{', '.join(PIPELINES)}"
        )
    return contents


def _read_target(path: Path, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The transform of version 1.0.0: from a <target>.json, and the rate from the weights.

    Raises:
        ValueError: if the file is not JSON, incomplete or invalid, or the weights have no rate, or
            something that is none.
    """
    contents = read_json(path)
    arguments = contents.get("args") if isinstance(contents, dict) else None
    found = _read_keys(path, arguments, ("nfft", "nhop", "nb_channels"))
    if "sample_rate" not in state:
        raise ValueError(
            f"{path.with_suffix('.pth')} lacks sample_rate, and there is no separator.json: write "
            f"one with {', '.join(SEPARATOR_KEYS)}"
        )
    value = state["sample_rate"]
    shown = shorten(value.item()) if value.numel() == 1 else f"of shape {tuple(value.shape)}"
    rate = float(value) if value.numel() == 1 and not value.is_complex() else math.nan
    if not 1 <= rate <= MOST:
        raise ValueError(
            f"{path.with_suffix('.pth')} has sample_rate {shown}: it must be a number from 1 to "
            f"{MOST}"
        )
    return {**FILTER_2019, **found, "sample_rate": rate}


def _read_keys(path: Path, contents: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    """A JSON value, or ValueError unless it has these keys, with numbers in range.

    All but sample_rate must be whole, nhop also shorter than nfft.
    """
    missing = [key for key in keys if not isinstance(contents, dict) or key not in contents]
    if missing:
        raise ValueError(f"{path} lacks {missing[0]}: it needs {', '.join(keys)}")
    for key in keys:
        value = contents[key]
        least = 2 if key == "nfft" else 1
        most = contents["nfft"] - 1 if key == "nhop" else MOST  # nfft comes first in keys
        is_number = type(value) is int or (type(value) is float and math.isfinite(value))
        if is_number and least <= value <= most and (key == "sample_rate" or value == int(value)):
            continue
        what = "number" if key == "sample_rate" else "whole number"
        raise ValueError(
            f"{path} has {key} {shorten(value)}: it must be a {what} from {least} to {most}"
        )
    return dict(contents)
