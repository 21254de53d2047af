"""What the code of a package does for its demo models, counted: a slow path shows without a clock.

``operations.csv`` beside a package's tests holds what was counted when it was frozen; ``python -m
mss_shared.conformance --operations`` writes it again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import default_collate

from mss_shared import atomic
from mss_shared.evaluation.cost import flop_counter
from mss_shared.paper import AnyPaper
from mss_shared.recipe import load_recipe, shipped_recipes
from mss_shared.separation.overlap_add import separate
from mss_shared.testing import imagined_examples

FILE = "operations.csv"
RECIPES = "demo*"  # names of those that are counted
SECONDS = 6.0  # of audio that is separated
TOLERANCE = 0.05  # of each number
ONEDNN = ("aten::mkldnn", "mkldnn::")  # begin the names of its operations


class Operations(NamedTuple):
    """What one call does on a CPU.

    Attributes:
        gmac: giga multiply-accumulates, of matrix products, convolutions, attention, recurrence.
        kernels: operations of torch that call no other.
        onednn: products, convolutions and recurrent layers of oneDNN.
        mb: megabytes that operations take, freed or not.
    """

    gmac: float
    kernels: int
    onednn: int
    mb: float


def count_operations(paper: AnyPaper, recipe: Any) -> dict[str, Operations]:
    """What it takes to ``separate`` six seconds, and to ``train`` a batch, forward and backward."""
    torch.manual_seed(0)
    model = paper.build_model(recipe).eval()
    mixture = torch.randn(model.channels, round(SECONDS * model.sample_rate))
    separating = _count(lambda: separate(model, mixture, recipe.inference))
    module: Any = paper.build_training(model, recipe).train()
    sets = imagined_examples(paper, recipe, model)
    batch = default_collate([sets.train[place] for place in range(recipe.training.batch)])
    for name, value in batch.items():
        if value.is_floating_point():
            batch[name] = torch.randn(value.shape)
    with patch.object(module, "log_mean"):
        training = _count(lambda: module.training_step(batch, 0).backward())
    return {"separate": separating, "train": training}


def _count(call: Callable[[], object]) -> Operations:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # torch splits some operations by threads
    try:
        return _counted(call)
    finally:
        torch.set_num_threads(threads)


def _counted(call: Callable[[], object]) -> Operations:
    counter = flop_counter()
    with counter:  # the first call also fills what a model keeps
        call()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    events = profiler.events() or ()
    onednn = sum(event.name.startswith(ONEDNN) for event in events)
    done = [event for event in events if event.name.startswith("aten::")]
    leaves = [e for e in done if not any(c.name.startswith("aten::") for c in e.cpu_children)]
    taken = sum(max(0, event.self_cpu_memory_usage) for event in done)
    gmac = round(counter.get_total_flops() / 2e9, 3)
    return Operations(gmac, len(leaves), onednn, round(taken / 1e6, 1))


def write_operations(paper: AnyPaper, package: Path) -> None:
    """Write ``tests/operations.csv`` of a package's folder."""
    lines = io.StringIO()
    table = csv.writer(lines, lineterminator="\n")
    table.writerow(("torch", "recipe", "call", *Operations._fields))
    for path in shipped_recipes(paper.name):
        if path.match(f"{RECIPES}.yaml"):
            recipe = load_recipe(paper.recipe_type, path).recipe
            for call, counted in count_operations(paper, recipe).items():
                table.writerow((_torch(), path.stem, call, *counted))
    atomic.write_text(package / "tests" / FILE, lines.getvalue())


def check_operations(paper: AnyPaper, package: Path) -> None:
    """Raise AssertionError where a demo model does more, or less, than when it was frozen.

    Nothing is compared with another minor version of torch, which divides its work differently, or
    with a build without oneDNN.
    """
    text = (package / "tests" / FILE).read_text(encoding="utf-8")
    frozen = {(line["recipe"], line["call"]): line for line in csv.DictReader(io.StringIO(text))}
    paths = {path.stem: path for path in shipped_recipes(paper.name)}
    counted_recipes = {recipe for recipe, _ in frozen}
    fresh = {path.stem for path in paths.values() if path.match(f"{RECIPES}.yaml")}
    assert counted_recipes == fresh, (
        f"{FILE} of {paper.name} has {sorted(counted_recipes)}, its recipes are {sorted(fresh)}: "
        f"write it again: python -m mss_shared.conformance --operations {paper.name}"
    )
    of_this_torch = all(line["torch"] == _torch() for line in frozen.values())
    has_onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not (of_this_torch and has_onednn):
        return
    for name in sorted(counted_recipes):
        recipe = load_recipe(paper.recipe_type, paths[name]).recipe
        for call, counted in count_operations(paper, recipe).items():
            line = frozen[name, call]
            for field, value in counted._asdict().items():
                before = float(line[field])
                assert abs(value - before) <= TOLERANCE * before, (
                    f"{paper.name} {name} {call}: {field} is {value}, it was {line[field]}; if "
                    f"that is meant, write {FILE} again: python -m mss_shared.conformance "
                    f"--operations {paper.name}"
                )


def _torch() -> str:
    return ".".join(torch.__version__.split(".")[:2])
