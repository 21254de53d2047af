"""Print the memory of real training steps and of the same step computed, in bytes, as JSON.

Run by measure.py, in a process of its own for each line of the table, as a peak never goes down.
"""

from __future__ import annotations

import argparse
import json
import resource
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch.utils.data import default_collate

from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.training.imagined import imagined_songs
from mss_shared.training.random_mixes import default_examples
from mss_shared.training.step_memory import estimate_step


def resident() -> int:
    """Bytes of this process in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def train(module: Any, batch: Any, steps: int) -> None:
    """Optimizer steps on one batch."""
    module.train()
    module.log_mean = lambda *_: None
    module._trainer = SimpleNamespace(estimated_stepping_batches=1, global_step=0)
    found = module.configure_optimizers()
    [optimizer] = found[0] if isinstance(found, tuple) else [found]
    for _ in range(steps):
        module.training_step(batch, 0).backward()
        optimizer.step()
        optimizer.zero_grad()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paper")
    parser.add_argument("recipe")
    parser.add_argument("examples", type=int)
    parser.add_argument("--checkpoint_activations", action="store_true")
    arguments, overrides = parser.parse_known_args()
    paper = import_module(f"{arguments.paper}.paper").PAPER
    file = find_recipe(arguments.paper, arguments.recipe)
    recipe = load_recipe(paper.recipe_type, file, overrides).recipe
    before = resident()
    model = paper.build_model(recipe)
    songs = imagined_songs(recipe.data.stems, model.sample_rate, model.channels)
    sets = default_examples(songs, recipe.data, model.stems, 0)
    sets = paper.choose_examples(sets, songs, recipe, model, 0)
    module = paper.build_training(model, recipe)
    wanted = arguments.checkpoint_activations
    model.activation_checkpointing = model.activation_checkpointing or wanted
    train(module, default_collate([sets.train[0]] * arguments.examples), steps=2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    torch.set_grad_enabled(True)
    found = estimate_step(paper, recipe, sets, arguments.examples, checkpointing=wanted)
    print(json.dumps({"measured": peak, "computed": found.total}))


if __name__ == "__main__":
    main()
