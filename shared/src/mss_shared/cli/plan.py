"""``fit --plan``: what a run would cost, before it is paid for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mss_shared import console
from mss_shared.cli.data_flags import reading_from_flags
from mss_shared.cli.scoring import check_protocols, open_data
from mss_shared.datasets.opening import join_datasets
from mss_shared.datasets.sums import parts_of
from mss_shared.paper import AnyPaper
from mss_shared.recipe import LoadedRecipe, find_recipe, load_recipe

GB = 1e9
ABSURD_HOURS = 7 * 24.0  # on one device
BIG_GPU_GB = 80.0  # the memory of the GPUs that most clusters have
SUSTAINED_TFLOPS = 100.0  # what the hours without a measured step assume: a good share of an H100
SMALL_STEP_TFLOP = 0.5  # steps up to this are measured: seconds on a laptop


@dataclass(frozen=True)
class Plan:
    """What training a recipe costs.

    Attributes:
        recipe: its name.
        parameters: of the model.
        gmac: giga multiply-accumulates per second of audio in a forward pass of training.
        batch, seconds: examples of a step, and their length.
        examples: that go through a device at a time.
        devices: that share a batch.
        bytes: of a device's memory.
        recomputed_bytes: the same with ``--checkpoint_activations``.
        steps: of the optimizer, if the run is not stopped early.
        early: whether it may be.
        epochs: in which all training songs could be heard; ``passes`` is how often they are.
        passes: seconds of all examples divided by those of the training songs.
        exaflop: of the whole run, backward passes included.
        step_seconds: duration of a step; None if unknown.
        measured: whether it was measured here.
    """

    recipe: str
    parameters: int
    gmac: float
    batch: int
    seconds: float
    examples: int
    devices: int
    bytes: int
    recomputed_bytes: int
    steps: int
    early: bool
    epochs: int
    passes: float
    exaflop: float
    step_seconds: float | None
    measured: bool

    @property
    def hours(self) -> float:
        """Of the whole run; at ``SUSTAINED_TFLOPS`` per device if no step is known."""
        if self.step_seconds is None:
            return self.exaflop * 1e6 / (SUSTAINED_TFLOPS * self.devices) / 3600
        return self.steps * self.step_seconds / 3600

    @property
    def warnings(self) -> list[str]:
        """What is absurd about the run, with what to change."""
        found = []
        if self.hours > ABSURD_HOURS:
            devices = console.count(self.devices, "device")
            found.append(
                f"{self.hours / 24:.0f} days on {devices}: more --devices, "
                f"fewer --recipe.training.epochs or a smaller model"
            )
        if self.bytes > BIG_GPU_GB * GB:
            remedy = "--checkpoint_activations"
            if self.recomputed_bytes > BIG_GPU_GB * GB:
                remedy = "--checkpoint_activations with --micro_batch or more --devices"
            found.append(
                f"{self.bytes / GB:.0f} GB per device, and big GPUs have {BIG_GPU_GB:.0f}: {remedy}"
            )
        return found


def show_plans(paper: AnyPaper, arguments: argparse.Namespace, overrides: Sequence[str]) -> None:
    """Print the plan of every recipe of ``fit --plan``."""
    for name in arguments.recipe:
        loaded = load_recipe(paper.recipe_type, find_recipe(paper.name, name), overrides)
        console.say(describe(make_plan(paper, loaded, arguments)))


def make_plan(paper: AnyPaper, loaded: LoadedRecipe[Any], arguments: argparse.Namespace) -> Plan:
    """Compute the plan of a recipe.

    Args:
        paper: the package.
        loaded: its recipe.
        arguments: of ``fit``: data_root, device, devices, num_nodes, micro_batch,
            checkpoint_activations, ignore_memory and step_seconds.

    Raises:
        ValueError: if the recipe has an illegal value, or micro-batches do not add up to a batch.
    """
    from mss_shared.evaluation.cost import flop_counter
    from mss_shared.training.checks import check_loop
    from mss_shared.training.enough_memory import check_model
    from mss_shared.training.step_memory import build, estimate_step
    from mss_shared.training.trainer import Machine, accumulation, devices_of, on_cpu

    recipe, loop = loaded.recipe, loaded.recipe.training
    check_protocols(recipe)
    again = arguments.checkpoint_activations
    check_loop(loop)
    check_model(paper, recipe, ignore_memory=arguments.ignore_memory)
    model, _ = build(paper, recipe, again)
    songs, recipe, sets = _songs_and_examples(paper, recipe, model, arguments)
    cpu = on_cpu(arguments.device)
    devices = devices_of(Machine(arguments.device, arguments.devices, arguments.num_nodes))
    passes = accumulation(loop.batch, arguments.micro_batch, devices, model, synchronised=not cpu)
    examples = loop.batch // (devices * passes)
    settings: dict[str, Any] = {"accumulates": passes > 1, "device": "cpu" if cpu else "cuda"}
    counter = flop_counter()
    memory = estimate_step(
        paper, recipe, sets, examples, checkpointing=again, forward=counter, **settings
    )
    again = getattr(model, "activation_checkpointing", False)
    less = memory
    if not again:
        less = estimate_step(paper, recipe, sets, examples, checkpointing=True, **settings)
    steps = sets.per_epoch // loop.batch * loop.epochs
    heard = steps * loop.batch * recipe.data.chunk_seconds
    per_example = counter.get_total_flops() / memory.examples
    # A backward pass takes twice the operations of a forward pass.
    step_flop = per_example * (4 if again else 3) * loop.batch
    seconds, measured = arguments.step_seconds, False
    if seconds is None and cpu and step_flop < SMALL_STEP_TFLOP * 1e12 * devices:
        seconds, measured = _measure(paper, recipe, sets, examples, again) * passes, True
    return Plan(
        recipe=loaded.name,
        parameters=sum(p.numel() for p in model.parameters()),
        gmac=per_example / 2e9 / recipe.data.chunk_seconds,
        batch=loop.batch,
        seconds=recipe.data.chunk_seconds,
        examples=examples,
        devices=devices,
        bytes=memory.total,
        recomputed_bytes=less.total,
        steps=steps,
        early=loop.early_stop_epochs is not None,
        epochs=loop.epochs,
        passes=heard / sum(t.info.samples / t.info.sample_rate for t in songs.train),
        exaflop=steps * step_flop / 1e18,
        step_seconds=seconds,
        measured=measured,
    )


def _songs_and_examples(
    paper: AnyPaper, recipe: Any, model: Any, arguments: argparse.Namespace
) -> tuple[Any, Any, Any]:
    """The songs of folders, or imagined ones, the recipe that fits them, and its examples."""
    from mss_shared.training.checks import check_data, check_inference
    from mss_shared.training.imagined import imagined_songs
    from mss_shared.training.random_mixes import default_examples
    from mss_shared.training.songs import fit_songs

    check_data(recipe.data, model.sample_rate)
    check_inference(recipe.inference, model.sample_rate)
    if not arguments.data_root:
        songs = imagined_songs(parts_of(recipe.data.stems), model.sample_rate, model.channels)
    else:
        reading = reading_from_flags(arguments)
        songs = join_datasets([open_data(root, reading) for root in arguments.data_root])
        for split in ("train", "valid"):
            songs.split(split)  # says so if there are none
    songs, drawn = fit_songs(songs, recipe, model)
    seed = recipe.training.seed
    sets = default_examples(songs, drawn.data, model.stems, seed)
    return songs, drawn, paper.choose_examples(sets, songs, drawn, model, seed)


def _measure(paper: AnyPaper, recipe: Any, sets: Any, examples: int, again: bool) -> float:
    """Seconds of a pass on this machine's CPU."""
    from mss_shared.training.step_memory import time_step

    return time_step(paper, recipe, sets.train[0], examples, "cpu", again)


def describe(plan: Plan) -> str:
    """The plan in lines for people."""
    each = "" if plan.devices == 1 else f", {plan.devices} devices"
    again = f"{plan.recomputed_bytes / GB:.1f} GB with --checkpoint_activations"
    if plan.bytes == plan.recomputed_bytes:
        again = "activations are computed again"
    early = " at most" if plan.early else ""
    if plan.step_seconds is None:
        pace = f"at {SUSTAINED_TFLOPS:.0f} TFLOP/s sustained; give --step_seconds for your device"
    else:
        pace = f"at {plan.step_seconds:.3g} s a step"
        pace += ", measured here" if plan.measured else ""
    lines = [
        f"plan of {plan.recipe}:",
        f"  parameters   {plan.parameters / 1e6:.2f} M",
        f"  operations   {plan.gmac:.1f} GMAC per second of audio, forward",
        f"  batch        {plan.batch} x {plan.seconds:.3g} s, {plan.examples} at a time{each}",
        f"  memory       {plan.bytes / GB:.1f} GB per device, computed; {again}",
        f"  steps        {plan.steps:,}{early}, {console.count(plan.epochs, 'epoch')}",
        f"  heard        {plan.steps * plan.batch:,} examples, {plan.passes:.1f} times the "
        f"training songs",
        f"  compute      {plan.exaflop:.3g} EFLOP",
        f"  time         {duration(plan.hours)}{early} {pace}",
    ]
    return "\n".join([*lines, *(f"  warning      {line}" for line in plan.warnings)])


def duration(hours: float) -> str:
    """Minutes, hours or days, for people."""
    if hours < 1:
        return f"{hours * 60:.2g} minutes"
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"
