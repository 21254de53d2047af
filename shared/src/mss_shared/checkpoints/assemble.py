"""One model from several checkpoints: per-stem models joined, models of equal stems averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mss_shared import console
from mss_shared.checkpoints.digest import weights_digest
from mss_shared.interfaces import Checkpoint
from mss_shared.paper import AnyPaper
from mss_shared.separation.device import BackOff, prepare
from mss_shared.separation.ensembles import Ensemble, Mirrored, Shifted, group_by_stems
from mss_shared.separation.passes import Passes


@dataclass(frozen=True)
class Loaded:
    """Checkpoints as one model.

    Attributes:
        model: on the CPU, in evaluation mode.
        first: the first checkpoint, whose recipe says how songs are chunked.
        digests: of the weights of each checkpoint.
    """

    model: Any
    first: Checkpoint
    digests: tuple[str, ...]


def assemble(
    paper: AnyPaper,
    checkpoints: Sequence[Checkpoint],
    flags: Mapping[str, Any],
    ensemble: str | None = None,
) -> Loaded:
    """Join checkpoints of different stems; combine those of the same stems as an ensemble.

    Args:
        paper: the package of the checkpoints.
        checkpoints: one or more.
        flags: values of the paper's own flags, by name.
        ensemble: how estimates of the same stems are combined; None for the mean.

    Raises:
        ValueError: if stems overlap only in part, or ``ensemble`` has only one model.
    """
    models = [checkpoint.model for checkpoint in checkpoints]
    digests = tuple(weights_digest(model.state_dict()) for model in models)
    joined = [
        paper.join_models([models[index] for index in group], checkpoints[group[0]].recipe, flags)
        for group in group_by_stems([model.stems for model in models])
    ]
    if len(joined) == 1 and ensemble is None:
        return Loaded(joined[0], checkpoints[0], digests)
    combined = Ensemble(joined, ensemble or "mean").eval()
    console.say(f"ensemble of {len(joined)} models of {', '.join(combined.stems)}")
    return Loaded(combined, checkpoints[0], digests)


def with_passes(model: Any, passes: Passes, device: torch.device) -> BackOff:
    """The model on its device, with test-time augmentation and precision."""
    if passes.mirrors:
        model = Mirrored(model, passes.mirrors)
    if passes.shifts != 1:
        model = Shifted(model, passes.shifts)
    return prepare(model, device, passes.precision, passes.compiled)
