"""From parsed flags to one model: checkpoints, joined or as an ensemble, and how songs are cut."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from mss_shared import console
from mss_shared.checkpoints.checkpoint import Checkpoint, load_checkpoints
from mss_shared.paper import AnyPaper, Option
from mss_shared.recipe_sections import InferenceConfig


def load_words(paper: AnyPaper, arguments: argparse.Namespace) -> list[Checkpoint]:
    """All checkpoints that the words of ``--checkpoint`` stand for; says how they were read.

    Raises:
        FileNotFoundError, ValueError: if one can't be loaded.
    """
    config = getattr(arguments, "config_path", None)
    checkpoints: list[Checkpoint] = []
    for source in arguments.checkpoint:
        if config is not None:
            checkpoints.append(paper.open_configured(source, config))
        else:
            checkpoints += load_checkpoints(paper, source, arguments.recipe)
    for checkpoint in checkpoints:
        for note in checkpoint.notes:
            console.say(note)
    return checkpoints


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
