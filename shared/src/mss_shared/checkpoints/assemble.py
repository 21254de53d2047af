"""Checkpoints as one model: joined by stems, as an ensemble, run as often as asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mss_shared import console
from mss_shared.checkpoints.checkpoint import Checkpoint
from mss_shared.checkpoints.digest import weights_digest
from mss_shared.paper import AnyPaper
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


def assemble(
    paper: AnyPaper,
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
