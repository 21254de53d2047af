"""Export networks for other programs: in the authors' folder layout, or as ONNX."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from mss_shared import console
from mss_shared.atomic import write_all
from mss_shared.checkpoints import load_checkpoints
from mss_shared.paper import AnyPaper
from open_unmix.build import collect_networks
from open_unmix.model import OpenUnmix
from open_unmix.onnx_graph import write_onnx
from open_unmix.recipe import ModelConfig
from open_unmix.separator import Separator
from open_unmix.weights import DIGEST, FILTER_KEYS

SEPARATOR = "separator.json"
Files = dict[str, Callable[[Path], object]]  # by name: what writes it to a path


def export(paper: AnyPaper, flags: Mapping[str, Any]) -> None:
    """The verb ``export``: write each network of the checkpoints to a file of its own.

    Args:
        paper: this package.
        flags: values of checkpoint, out, format and overwrite by name.

    Raises:
        FileExistsError: if a file is there that is not to be overwritten.
        ValueError: if two checkpoints estimate one stem, their transforms differ, or the layout
            reads the name of a stem as something else. Nothing is written then.
    """
    out = Path(flags["out"])
    loaded = [each for source in flags["checkpoint"] for each in load_checkpoints(paper, source)]
    separators: list[Separator] = [each.model for each in loaded]
    networks = collect_networks(separators)
    if flags.get("format", "umx") == "umx":
        files = layout_files(separators, [each.recipe for each in loaded])
    else:
        files = {f"{name}.onnx": partial(write_onnx, each) for name, each in networks.items()}
    _check_free(out, files, overwrite=bool(flags.get("overwrite")))
    write_all({out / name: write for name, write in files.items()})
    for target in networks:
        console.say(f"{target}: {out}")


def _check_free(out: Path, names: Iterable[str], *, overwrite: bool) -> None:
    there = [name for name in names if (out / name).exists() or (out / name).is_symlink()]
    if there and not overwrite:
        raise FileExistsError(
            f"{out / there[0]} is there: choose another --out, or --overwrite what is in this one"
        )


def layout_files(separators: Sequence[Separator], recipes: Sequence[Any]) -> Files:
    """The authors' layout; the first checkpoint says how the targets are filtered."""
    for separator in separators:
        for target in separator.targets:
            check_target(target)
    files = separator_file(separators[0], recipes[0].model)
    for separator, recipe in zip(separators, recipes, strict=True):
        for target, network in zip(separator.targets, separator.networks(), strict=True):
            files |= target_files(network, target, recipe)
    return files


def target_files(network: OpenUnmix, target: str, recipe: Any) -> Files:
    """``<target>.pth`` and ``<target>.json``, the names that the authors' loader expects.

    The same weights give the same bytes.

    Raises:
        ValueError: for a target of whose name the layout makes something else.
    """
    check_target(target)
    arguments = {
        "target": target,
        "nfft": 2 * (network.nb_bins - 1),
        "nhop": network.n_hop,
        "nb_channels": network.nb_channels,
        "hidden_size": network.hidden_size,
        "nb_layers": network.nb_layers,
        "unidirectional": network.unidirectional,
        "bandwidth": recipe.model.bandwidth_hz,
        "seq_dur": recipe.data.chunk_seconds,
        "batch_size": recipe.training.batch,
        "lr": recipe.training.lr,
        "weight_decay": recipe.training.weight_decay,
    }

    def write_weights(path: Path) -> None:
        buffer = BytesIO()  # torch names the archive in a file after it, and breaks on a full disk
        torch.save(network.state_dict(), buffer)
        path.write_bytes(buffer.getbuffer())

    return {f"{target}.pth": write_weights, f"{target}.json": _json({"args": arguments})}


def _json(content: dict[str, Any]) -> Callable[[Path], object]:
    text = json.dumps(content, indent=2) + "\n"
    return lambda path: path.write_text(text, encoding="utf-8")


def check_target(target: str) -> None:
    """Raise ValueError for a name that has another meaning in the authors' layout."""
    if f"{target}.json".casefold() == SEPARATOR:  # some disks do not tell cases apart
        raise ValueError(
            f"the stem {target} can't be exported in the authors' layout, where {SEPARATOR} "
            f"describes all stems: choose --format onnx"
        )
    if DIGEST.search(target):
        raise ValueError(
            f"the stem {target} can't be exported in the authors' layout, which takes the end of "
            f"its name for a digest: choose --format onnx"
        )


def separator_file(separator: Separator, model: ModelConfig) -> Files:
    """``separator.json``: the transform that all targets share, and how they are filtered.

    The authors' loader takes its four keys of the transform and ignores the others.
    """
    transform: dict[str, Any] = {
        "nfft": separator.stft.n_fft,
        "nhop": separator.stft.n_hop,
        "sample_rate": float(separator.sample_rate),
        "nb_channels": separator.channels,
    }
    transform |= {name: getattr(model, name) for name in FILTER_KEYS}
    return {SEPARATOR: _json(transform)}
