"""What parsed flags name: checkpoints, the paper's own options, how songs are chunked."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from mss_shared import console
from mss_shared.checkpoints.checkpoint import load_checkpoints
from mss_shared.checkpoints.published import read_published
from mss_shared.interfaces import Checkpoint
from mss_shared.paper import AnyPaper, Option
from mss_shared.recipe_sections import InferenceConfig


def checkpoints_from_flags(paper: AnyPaper, arguments: argparse.Namespace) -> list[Checkpoint]:
    """Load all checkpoints of ``--checkpoint`` and print how they were read.

    Raises:
        FileNotFoundError, ValueError: if none is named, or one can't be loaded.
    """
    checkpoints = open_checkpoints(paper, arguments)
    for checkpoint in checkpoints:
        for note in checkpoint.notes:
            console.say(note)
    return checkpoints


def open_checkpoints(paper: AnyPaper, arguments: argparse.Namespace) -> list[Checkpoint]:
    """Load all checkpoints of ``--checkpoint``.

    Raises:
        FileNotFoundError, ValueError: if none is named, or one can't be loaded.
    """
    if arguments.checkpoint is None:
        raise ValueError(_no_weights(paper))
    config = getattr(arguments, "config_path", None)
    checkpoints: list[Checkpoint] = []
    for source in arguments.checkpoint:
        if config is not None:
            checkpoints.append(paper.open_configured(source, config))
        else:
            checkpoints += _load_or_point_to_demo(paper, source, arguments.recipe or ())
    return checkpoints


def _no_weights(paper: AnyPaper) -> str:
    """What there is to choose from, as a sentence."""
    names = list(read_published(paper.name))
    published = f", or one of the published {', '.join(names)}" if names else ""
    none = "" if names else " (none are published for this paper)"
    return (
        f"no weights are named: give {paper.checkpoint_flags[0]} a run folder or a weights file"
        f"{published}{none}, or let {paper.command} demo train a small model"
    )


def _load_or_point_to_demo(
    paper: AnyPaper, source: str, recipes: Sequence[str]
) -> list[Checkpoint]:
    """As ``_load``; who chose no weights and has no network learns how to get some."""
    try:
        return _load(paper, source, recipes)
    except FileNotFoundError as error:
        if source != paper.default_checkpoint:
            raise
        raise FileNotFoundError(
            f"{error}; or let {paper.command} demo train a small model, without a download"
        ) from error


def _load(paper: AnyPaper, source: str, recipes: Sequence[str]) -> list[Checkpoint]:
    """Load the weights that ``source`` names, of several recipes with the one that fits.

    Raises:
        ValueError: if none fits.
    """
    if len(recipes) < 2:
        return load_checkpoints(paper, source, recipes[0] if recipes else None)
    reasons = []
    for name in recipes:
        try:
            return load_checkpoints(paper, source, name)
        except ValueError as error:
            reasons.append(str(error))
    raise ValueError(f"none of the recipes {', '.join(recipes)} fits: {reasons[-1]}")


def options_from_flags(options: Sequence[Option], arguments: argparse.Namespace) -> dict[str, Any]:
    """The paper's own flags that are on the command line, by name."""
    values = {option.name: getattr(arguments, option.name) for option in options}
    return {name: value for name, value in values.items() if value is not None}


def inference_from_flags(config: InferenceConfig, arguments: argparse.Namespace) -> InferenceConfig:
    """The recipe's inference settings, with those that flags override."""
    changes = {
        field.name: value
        for field in fields(config)
        if (value := getattr(arguments, field.name, None)) is not None
    }
    return replace(config, **changes)


def changed_inference(stated: InferenceConfig, used: InferenceConfig) -> dict[str, Any]:
    """The settings by which songs are cut in another way than the recipe states, by name."""
    return {
        field.name: getattr(used, field.name)
        for field in fields(used)
        if getattr(used, field.name) != getattr(stated, field.name)
    }
