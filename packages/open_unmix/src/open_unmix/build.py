"""Build a separator from a recipe; join separators of single targets under one Wiener filter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from open_unmix.model import OpenUnmix, bandwidth_to_max_bin
from open_unmix.recipe import ModelConfig, Recipe
from open_unmix.separator import Separator
from open_unmix.wiener import EPS, NORBERT_EPS

EPSILONS = {"pipeline": None, "torch": EPS, "norbert": NORBERT_EPS}


def build_network(config: ModelConfig) -> OpenUnmix:
    """Build the network of one target with new weights.

    Raises:
        ValueError: if a size is out of range.
    """
    return OpenUnmix(
        nb_bins=config.n_fft // 2 + 1,
        nb_channels=config.nb_channels,
        hidden_size=config.hidden_size,
        nb_layers=config.nb_layers,
        unidirectional=config.unidirectional,
        max_bin=bandwidth_to_max_bin(config.sample_rate, config.n_fft, config.bandwidth_hz),
        n_hop=config.n_hop,
    )


def build_separator(networks: Mapping[str, OpenUnmix] | None = None, **values: Any) -> Separator:
    """Build a separator.

    A single target is not filtered, because a Wiener filter needs a second stem.

    Args:
        networks: of the targets; with new weights if None.
        values: fields of `ModelConfig`.

    Raises:
        ValueError: if a target is named twice or a size is out of range.
    """
    config = ModelConfig(**values)
    for target in config.targets:  # which torch makes an attribute of
        if not target or "." in target or hasattr(nn.ModuleDict(), target):
            raise ValueError(f"model.targets has the stem {target!r}: choose another name")
    if networks is None:
        networks = {target: build_network(config) for target in config.targets}
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


def join(models: Sequence[Separator], recipe: Recipe, flags: Mapping[str, Any]) -> Any:
    """Join the networks of several separators under one Wiener filter.

    Args:
        models: separators of one or more targets.
        recipe: of the first model; its filter settings are used where no flag overrides them.
        flags: of the command line, values by name: targets, niter, softmask, alpha, residual,
            wiener, wiener_win_len, pipeline, eps.

    Raises:
        ValueError: if two models estimate one stem, their transforms differ, --targets names a
            stem without a network, or --alpha is given without ratio masks.
    """
    networks = collect_networks(models)
    targets = flags.get("targets", list(networks))
    for target in targets:
        if target not in networks:
            raise ValueError(f"--targets {target}: the checkpoints have {', '.join(networks)}")
    config, first = recipe.model, models[0]
    softmask = flags.get("softmask", config.softmask)
    if "alpha" in flags and not softmask:
        raise ValueError(
            f"--alpha {flags['alpha']} has no effect without ratio masks: add --softmask, or leave "
            f"--alpha out"
        )
    residual = bool(flags.get("residual", False))
    sources = len(targets) + residual
    return Separator(
        {target: networks[target] for target in targets},
        niter=flags.get("niter", config.niter if sources > 1 else 0),
        softmask=softmask,
        residual=residual,
        sample_rate=first.sample_rate,
        n_fft=first.stft.n_fft,
        n_hop=first.stft.n_hop,
        nb_channels=first.channels,
        wiener_win_len=flags.get("wiener_win_len", config.wiener_win_len),
        alpha=flags.get("alpha", 1.0),
        eps=EPSILONS[flags.get("eps", "pipeline")],
        pipeline=flags.get("pipeline", config.pipeline),
        wiener=flags.get("wiener", "torch"),
    ).eval()


def collect_networks(models: Sequence[Separator]) -> dict[str, OpenUnmix]:
    """The networks of all models by stem.

    Raises:
        ValueError: if two models estimate one stem, or their transforms differ.
    """
    networks: dict[str, OpenUnmix] = {}
    for model in models:
        if _get_transform(model) != _get_transform(models[0]):
            raise ValueError(
                f"the checkpoints' transforms (n_fft, hop, rate, channels) are "
                f"{_get_transform(models[0])} and {_get_transform(model)}: use checkpoints "
                f"that share one"
            )
        for stem, network in zip(model.targets, model.networks(), strict=True):
            if stem in networks:
                raise ValueError(f"two checkpoints estimate {stem}: give one per stem")
            networks[stem] = network
    return networks


def _get_transform(model: Separator) -> tuple[int, int, int, int]:
    """n_fft, hop, sample rate and channels, which joined models must share."""
    return model.stft.n_fft, model.stft.n_hop, model.sample_rate, model.channels
