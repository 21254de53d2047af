"""Parameters and multiply-accumulates of a recipe's model, without computing anything."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor

from mss_shared.evaluation.cost import count_gmac
from mss_shared.paper import AnyPaper
from mss_shared.recipe import load_recipe, shipped_recipes


class Size(NamedTuple):
    """Parameters, frozen ones too, and GMAC per second of audio."""

    parameters: int
    gmac: float


def count_all(paper: AnyPaper) -> dict[str, Size]:
    """The sizes of the models of all recipes by name; equal models are counted once."""
    counted: dict[str, Size] = {}
    found = {}
    for path in shipped_recipes(paper.name):
        recipe = load_recipe(paper.recipe_type, path).recipe
        key = repr(recipe.model)
        if key not in counted:
            counted[key] = count_sizes(paper, recipe)
        found[path.stem] = counted[key]
    return found


def count_sizes(paper: AnyPaper, recipe: Any) -> Size:
    """The size of a recipe's model.

    Shapes alone pass through the model, on the meta device; one that looks at values is run.
    """
    try:
        with torch.device("meta"):
            model = paper.build_model(recipe).eval()
        parameters = sum(parameter.numel() for parameter in model.parameters())
        with (
            patch("torch.stft", _stft),
            patch("torch.istft", _istft),
            patch("torch.autocast", lambda *_, **__: nullcontext()),
        ):
            return Size(parameters, count_gmac(model))
    except (RuntimeError, NotImplementedError):
        model = paper.build_model(recipe).eval()
        parameters = sum(parameter.numel() for parameter in model.parameters())
        return Size(parameters, count_gmac(model))


def _stft(audio: Tensor, n_fft: int, hop_length: int, *_: Any, **more: Any) -> Tensor:
    """A spectrogram of the right shape on the meta device, which has no Fourier transform."""
    padding = n_fft if more.get("center", True) else 0
    frames = 1 + (audio.shape[-1] + padding - n_fft) // hop_length
    shape = (*audio.shape[:-1], n_fft // 2 + 1, frames)
    return torch.empty(shape, dtype=torch.complex64, device=audio.device)


def _istft(spec: Tensor, n_fft: int, hop_length: int, *_: Any, **more: Any) -> Tensor:
    """Audio of the right shape."""
    samples = more.get("length") or hop_length * (spec.shape[-1] - 1)
    return torch.empty((*spec.shape[:-2], samples), device=spec.device)
