"""From parsed flags to one model: checkpoints, joined or as an ensemble, and how songs are cut."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from mss_shared import console
from mss_shared.checkpoints.checkpoint import Checkpoint, load_checkpoints
from mss_shared.paper import Option, Paper, find
from mss_shared.provenance import weights_digest
from mss_shared.recipe import InferenceConfig
from mss_shared.separation.device import BackOff, prepare
from mss_shared.separation.ensembles import Ensemble, Mirrored, Shifted, group_by_stems
from mss_shared.separation.passes import Passes


@dataclass(frozen=True)
class Loaded:
    """Checkpoints as one model.

    Attributes:
        model: on the CPU, in evaluation mode.
        first: the first checkpoint, whose recipe says how songs are cut.
        digests: of the weights of each checkpoint.
    """

    model: Any
    first: Checkpoint
    digests: tuple[str, ...]


def load_words(paper: Paper, arguments: argparse.Namespace) -> list[Checkpoint]:
    """All checkpoints that the words of ``--checkpoint`` stand for; says how they were read.

    Raises:
        FileNotFoundError, ValueError: if one can't be loaded.
    """
    config = getattr(arguments, "config_path", None)
    checkpoints: list[Checkpoint] = []
    for source in arguments.checkpoint:
        if config is not None:
            assert paper.open_configured is not None
            checkpoints.append(find(paper.open_configured)(source, config))
        else:
            checkpoints += load_checkpoints(paper, source, arguments.recipe)
    for checkpoint in checkpoints:
        for note in checkpoint.notes:
            console.say(note)
    return checkpoints


def assemble(
    paper: Paper,
    checkpoints: Sequence[Checkpoint],
    given: Mapping[str, Any],
    ensemble: str | None = None,
) -> Loaded:
    """One model: checkpoints of different stems joined, those of the same stems as an ensemble.

    Args:
        paper: whose they are.
        checkpoints: one or more.
        given: the paper's own flags.
        ensemble: how equal stems are combined; None for the mean.

    Raises:
        ValueError: if they neither join nor compete, or there is nothing to combine.
    """
    models = [checkpoint.model for checkpoint in checkpoints]
    digests = tuple(weights_digest(model.state_dict()) for model in models)
    joined = [
        paper.join_models([models[number] for number in group], checkpoints[group[0]].recipe, given)
        for group in group_by_stems([model.stems for model in models])
    ]
    if len(joined) == 1 and ensemble is None:
        return Loaded(joined[0], checkpoints[0], digests)
    combined = Ensemble(joined, ensemble or "mean").eval()
    console.say(f"an ensemble of {len(joined)} models of {', '.join(combined.stems)}")
    return Loaded(combined, checkpoints[0], digests)


def with_passes(model: Any, passes: Passes, device: torch.device) -> BackOff:
    """The model on its device, run as often as asked for."""
    if passes.mirrors:
        model = Mirrored(model, passes.mirrors)
    if passes.shifts != 1:
        model = Shifted(model, passes.shifts)
    return prepare(model, device, passes.precision, passes.compiled)


def given_options(options: Sequence[Option], arguments: argparse.Namespace) -> dict[str, Any]:
    """The paper's own flags that were given, by name."""
    values = {option.name: getattr(arguments, option.name) for option in options}
    return {name: value for name, value in values.items() if value is not None}


def flagged_inference(config: InferenceConfig, arguments: argparse.Namespace) -> InferenceConfig:
    """How songs are cut, by the recipe where no flag says otherwise."""
    changes = {
        field.name: value
        for field in fields(config)
        if (value := getattr(arguments, field.name, None)) is not None
    }
    return replace(config, **changes)
