"""Print the seconds of a training step on the CPU, examples read and mixed included, as JSON.

Run by run.py, in a process of its own for each recipe, on idle cores: the median of 16 steps.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import torch
from torch.utils.data import default_collate

from mss_shared.datasets import open_dataset
from mss_shared.heap import keep_freed_memory
from mss_shared.recipe import load_recipe
from mss_shared.training.random_mixes import default_examples
from mss_shared.training.songs import fit_songs

WARM_UP = 3
STEPS = 16


def main() -> None:
    package, file, data_root = sys.argv[1:]
    keep_freed_memory()  # as `fit` does
    paper = import_module(f"{package}.paper").PAPER
    recipe = load_recipe(paper.recipe_type, Path(file)).recipe
    model = paper.build_model(recipe)
    songs, recipe = fit_songs(open_dataset(data_root), recipe, model)
    sets = default_examples(songs, recipe.data, model.stems, 0)
    sets = paper.choose_examples(sets, songs, recipe, model, 0)
    module = paper.build_training(model, recipe).train()
    module.log_mean = lambda *_: None
    module._trainer = SimpleNamespace(estimated_stepping_batches=1000, global_step=0)
    found = module.configure_optimizers()
    optimizer = (found["optimizer"] if isinstance(found, dict) else found[0][0]
                 if isinstance(found, tuple) else found)  # fmt: skip
    batch = recipe.training.batch
    seconds = []
    for step in range(WARM_UP + STEPS):
        start = time.perf_counter()
        places = range(step * batch, (step + 1) * batch)
        examples = default_collate([sets.train[place] for place in places])
        module.training_step(examples, step).backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    per_step = statistics.median(seconds[WARM_UP:])
    print(
        json.dumps(
            {
                "parameters": sum(weight.numel() for weight in model.parameters()),
                "seconds": round(per_step, 4),
                "steps_in_8_minutes": round(480 / per_step),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                "threads": torch.get_num_threads(),
            }
        )
    )


if __name__ == "__main__":
    main()
