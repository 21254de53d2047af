"""Export networks for other programs: in the authors' folder layout, or as ONNX."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from mss_shared import console
from mss_shared.atomic import replacing, write_text
from mss_shared.checkpoints import load_checkpoints
from mss_shared.paper import AnyPaper
from open_unmix.build import collect_networks
from open_unmix.model import OpenUnmix
from open_unmix.onnx_graph import write_onnx
from open_unmix.recipe import ModelConfig
from open_unmix.separator import Separator
from open_unmix.weights import DIGEST, FILTER_KEYS

SEPARATOR = "separator.json"


def export(paper: AnyPaper, flags: Mapping[str, Any]) -> None:
    """The verb ``export``: write each network of the checkpoints to a file of its own.

    Args:
        paper: this package.
        flags: values of checkpoint, out and format by name.

    Raises:
        ValueError: if two checkpoints estimate one stem, their transforms differ, or the layout
            reads the name of a stem as something else. Nothing is written then.
    """
    out = Path(flags["out"])
    loaded = [each for source in flags["checkpoint"] for each in load_checkpoints(paper, source)]
    separators: list[Separator] = [each.model for each in loaded]
    networks = collect_networks(separators)
    if flags.get("format", "umx") == "umx":
        _write_layout(separators, [each.recipe for each in loaded], out)
        return
    for target, network in networks.items():
        write_onnx(network, out / f"{target}.onnx")
        console.say(f"{target}: {out}")


def _write_layout(separators: Sequence[Separator], recipes: Sequence[Any], out: Path) -> None:
    """Write the authors' layout; the first checkpoint says how the targets are filtered."""
    for separator in separators:  # before the first is written
        for target in separator.targets:
            check_target(target)
    for separator, recipe in zip(separators, recipes, strict=True):
        for target, network in zip(separator.targets, separator.networks(), strict=True):
            write_target(network, target, recipe, out)
            console.say(f"{target}: {out}")
    write_separator(separators[0], recipes[0].model, out)


def write_target(network: OpenUnmix, target: str, recipe: Any, out: Path) -> None:
    """Write ``<target>.pth`` and ``<target>.json``, the names that the authors' loader expects.

    The same weights give the same bytes.

    Raises:
        OSError: if a file can't be written.
        ValueError: for a target of whose name the layout makes something else.
    """
    check_target(target)
    buffer = BytesIO()  # torch names the archive in a file after it, and breaks on a full disk
    torch.save(network.state_dict(), buffer)
    with replacing(out / f"{target}.pth") as part:
        part.write_bytes(buffer.getbuffer())
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
    write_text(out / f"{target}.json", json.dumps({"args": arguments}, indent=2) + "\n")


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


def write_separator(separator: Separator, model: ModelConfig, out: Path) -> None:
    """Write ``separator.json``: the transform that all targets share, and how they are filtered.

    The authors' loader takes its four keys of the transform and ignores the others.
    """
    transform: dict[str, Any] = {
        "nfft": separator.stft.n_fft,
        "nhop": separator.stft.n_hop,
        "sample_rate": float(separator.sample_rate),
        "nb_channels": separator.channels,
    }
    transform |= {name: getattr(model, name) for name in FILTER_KEYS}
    write_text(out / SEPARATOR, json.dumps(transform, indent=2) + "\n")
