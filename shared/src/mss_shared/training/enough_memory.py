"""Whether a training step fits into memory: asked before the first one, with what to change."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from mss_shared.checkpoints.strict_loading import absurd_size, bounded, computes_with_values
from mss_shared.interfaces import ExampleSets
from mss_shared.names import shorten
from mss_shared.paper import AnyPaper
from mss_shared.recipe import LoadedRecipe, to_yaml
from mss_shared.training.checks import check_stems
from mss_shared.training.free_memory import free_bytes
from mss_shared.training.misfits import NO_MODEL, fitting
from mss_shared.training.step_memory import estimate_step

GB = 1e9
_MOST_PARTS = 20_000  # modules and tensors of a model; shipped ones have up to some thousand
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
DEV_EXAMPLES = 2  # of a device in dev_mode; batch norm needs more than one

# Bytes of a step, from the examples at a time and whether activations are recomputed.
Estimate = Callable[[int, bool], int]


def check_model(paper: AnyPaper, recipe: Any, *, ignore_memory: bool = False) -> None:
    """Raise ValueError for sizes that build no model, or one that memory can't hold.

    Nothing is allocated, and the random state stays as it is. A model that can't be built without
    memory is not checked.
    """
    size = absurd_size(recipe.model)
    if size is not None:
        raise ValueError(f"the recipe's model has a size of {shorten(size)}: give a smaller one")
    model = _build_without_memory(paper, recipe)
    if model is None:
        return
    check_stems(model.stems, "the recipe's model")
    parts = model.state_dict()
    empty = [name for name, part in parts.items() if not part.numel()]
    if empty:
        raise ValueError(
            f"{NO_MODEL}, as {empty[0]} would have no numbers: give sizes of at least 1"
        )
    need = sum(part.numel() * part.element_size() for part in parts.values())
    free = free_bytes("cpu")
    if free is not None and need > free and not ignore_memory:
        raise ValueError(
            f"the recipe's model takes {need / GB:.1f} GB, and {free / GB:.1f} GB are free: give "
            f"smaller sizes, or try it with --ignore_memory"
        )


def _build_without_memory(paper: AnyPaper, recipe: Any) -> Any:
    """The model on the meta device; None if it computes with values while it is built."""
    with (
        fitting(NO_MODEL),
        warnings.catch_warnings(),
        torch.random.fork_rng(devices=[]),
        torch.device("meta"),
        bounded(_MOST_PARTS),
    ):
        warnings.filterwarnings("ignore", "Initializing zero-element", UserWarning)
        try:
            return paper.build_model(recipe)
        except (RuntimeError, TypeError) as error:
            if computes_with_values(error):
                return None
            raise


def check_memory(
    paper: AnyPaper, recipe: Any, sets: ExampleSets, machine: Any, trainer: Any
) -> None:
    """Raise ValueError unless a step fits into the memory that is free on each device.

    Nothing is checked with ``machine.ignore_memory``, or where free memory is unknown.

    Args:
        paper, recipe: of the model.
        sets: its examples.
        machine: a ``Machine``.
        trainer: a Trainer that has devices and knows over how many passes a batch is divided.
    """
    device = trainer.strategy.root_device.type
    free = None if machine.ignore_memory else free_bytes(device)
    if free is None:
        return
    # Processes on one CPU share its memory.
    free //= max(1, trainer.num_devices) if device == "cpu" else 1
    batch, passes = recipe.training.batch, trainer.accumulate_grad_batches
    examples = batch // (trainer.world_size * passes)

    def estimate(examples: int, checkpointing: bool) -> int:
        settings = {"device": device, "checkpointing": checkpointing}
        accumulates = examples * trainer.world_size < batch
        found = estimate_step(paper, recipe, sets, examples, **settings, accumulates=accumulates)
        return found.total

    need = estimate(examples, machine.checkpoint_activations)
    if need <= free:
        return
    divisible = not any(isinstance(part, NORMS) for part in paper.build_model(recipe).modules())
    ways = list(_ways(estimate, examples, free, machine.checkpoint_activations, divisible))
    seconds = recipe.data.chunk_seconds
    raise ValueError(
        f"a step of {examples} examples of {seconds:.3g} s needs about {need / GB:.1f} GB and "
        f"{free / GB:.1f} GB are free: {_advice(ways, divisible)}, or try it with --ignore_memory"
    )


def _ways(
    estimate: Estimate, examples: int, free: int, checkpointing: bool, divisible: bool
) -> Iterator[str]:
    """Flags that make a step fit, with what it then needs; the cheapest in time first."""
    for again in (checkpointing,) if checkpointing else (False, True):
        flag = "--checkpoint_activations" if again and not checkpointing else ""
        if flag and (need := estimate(examples, again)) <= free:
            yield f"{flag} (about {need / GB:.1f} GB)"
        if not divisible or examples == 1:
            continue
        fewer = [n for n in range(examples - 1, 0, -1) if examples % n == 0]
        least, first = estimate(1, again), fewer[0]
        slope = (estimate(first, again) - least) / max(1, first - 1)
        fitting = [n for n in fewer if least + slope * (n - 1) <= free]
        if fitting:
            need = round(least + slope * (fitting[0] - 1))
            flags = f"{flag} --micro_batch {fitting[0]}".strip()
            yield f"{flags} (about {need / GB:.1f} GB)"


def _advice(ways: list[str], divisible: bool) -> str:
    if ways:
        return f"use {' or '.join(ways)}"
    whole = "" if divisible else "batch norm needs the whole batch at once, so "
    return (
        f"{whole}use a device with more, or a variant with a smaller --recipe.training.batch or "
        f"shorter --recipe.data.chunk_seconds"
    )


def shrink_batch(loaded: LoadedRecipe[Any], each: int, devices: int) -> LoadedRecipe[Any]:
    """The recipe for ``dev_mode``, no longer verbatim, with a small batch.

    Args:
        loaded: a recipe.
        each: the most examples of a device.
        devices: over which the batch is divided.
    """
    recipe, examples = loaded.recipe, each * devices
    if recipe.training.batch > examples:
        training = replace(recipe.training, batch=examples)
        # An epoch must remain a whole number of batches; 0 stands for all that there are.
        count = recipe.data.examples_per_epoch and examples
        data = replace(recipe.data, examples_per_epoch=count)
        recipe = dataclasses.replace(recipe, training=training, data=data)
    text = loaded.text if recipe is loaded.recipe else to_yaml(recipe)
    return replace(loaded, recipe=recipe, text=text, verbatim=False)
