"""From a recipe to a separator, from per-target separators to one with a filter over all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from open_unmix.model import OpenUnmix, bandwidth_to_max_bin
from open_unmix.recipe import ModelConfig, Recipe
from open_unmix.separator import Separator
from open_unmix.wiener import EPS, NORBERT_EPS

EPSILONS = {"pipeline": None, "torch": EPS, "norbert": NORBERT_EPS}


def build_separator(**values: Any) -> Separator:
    """A separator from the fields of `ModelConfig`, freshly initialised.

    A single target is not filtered: there is nothing to tell it from.
    """
    config = ModelConfig(**values)
    for target in config.targets:  # which torch makes an attribute of
        if not target or "." in target or hasattr(nn.ModuleDict(), target):
            raise ValueError(f"model.targets has the stem {target!r}: choose another name")
    max_bin = bandwidth_to_max_bin(config.sample_rate, config.n_fft, config.bandwidth_hz)
    networks = {
        target: OpenUnmix(
            nb_bins=config.n_fft // 2 + 1,
            nb_channels=config.nb_channels,
            hidden_size=config.hidden_size,
            nb_layers=config.nb_layers,
            unidirectional=config.unidirectional,
            max_bin=max_bin,
            n_hop=config.n_hop,
        )
        for target in config.targets
    }
    if len(networks) < len(config.targets):
        raise ValueError(f"model.targets is {', '.join(config.targets)}: name each stem once")
    return Separator(
        networks,
        niter=config.niter if len(networks) > 1 else 0,
        softmask=config.softmask,
        sample_rate=config.sample_rate,
        n_fft=config.n_fft,
        n_hop=config.n_hop,
        nb_channels=config.nb_channels,
        wiener_win_len=config.wiener_win_len,
        pipeline=config.pipeline,
    )


def join(models: Sequence[Separator], recipe: Recipe, given: Mapping[str, Any]) -> Any:
    """All models' networks under one filter.

    Args:
        models: separators of one target or several.
        recipe: of the first; its filter is used where no flag says otherwise.
        given: flags of the command line by name: targets, niter, softmask, alpha, residual,
            wiener, wiener_win_len, pipeline, eps.

    Raises:
        ValueError: if a stem comes twice, transforms differ, or a flag's target is not there.
    """
    networks = _collect(models)
    wanted = given.get("targets", list(networks))
    for target in wanted:
        if target not in networks:
            raise ValueError(f"--targets {target}: the checkpoints have {', '.join(networks)}")
    config, first = recipe.model, models[0]
    residual = bool(given.get("residual", False))
    sources = len(wanted) + residual
    return Separator(
        {target: networks[target] for target in wanted},
        niter=given.get("niter", config.niter if sources > 1 else 0),
        softmask=given.get("softmask", config.softmask),
        residual=residual,
        sample_rate=first.sample_rate,
        n_fft=first.stft.n_fft,
        n_hop=first.stft.n_hop,
        nb_channels=first.channels,
        wiener_win_len=given.get("wiener_win_len", config.wiener_win_len),
        alpha=given.get("alpha", 1.0),
        eps=EPSILONS[given.get("eps", "pipeline")],
        pipeline=given.get("pipeline", config.pipeline),
        wiener=given.get("wiener", "torch"),
    ).eval()


def _collect(models: Sequence[Separator]) -> dict[str, OpenUnmix]:
    """Every model's networks by stem."""
    networks: dict[str, OpenUnmix] = {}
    for model in models:
        if _transform(model) != _transform(models[0]):
            raise ValueError(
                f"the checkpoints' transforms (n_fft, hop, rate, channels) are "
                f"{_transform(models[0])} and {_transform(model)}: use networks of one kind"
            )
        for stem, network in zip(model.targets, model.networks(), strict=True):
            if stem in networks:
                raise ValueError(f"two checkpoints estimate {stem}: give one per stem")
            networks[stem] = network
    return networks


def _transform(model: Separator) -> tuple[int, int, int, int]:
    return model.stft.n_fft, model.stft.n_hop, model.sample_rate, model.channels
