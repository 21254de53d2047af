"""What `--precision bf16` and `--compile` change on a CPU: seconds, first seconds, the output.

    python choices.py --only lasaft --choices fp32 bf16      two threads: needs idle cores

Noise of one chunk through each package's model, untrained, as the command prepares it. Each row is
a process of its own, with an empty cache of compiled code.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mss_shared.heap import keep_freed_memory
from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.separation.device import prepare

RECIPES = {
    "open_unmix": {"demo": "demo", "published": "umxhq_vocals"},
    "moises_light": {"demo": "demo", "published": "paper_large_vocals"},
    "bs_roformer": {"demo": "demo", "published": "paper_bs_l6_vocals"},
    "tflocoformer_mss": {"demo": "demo", "published": "bs_musdb18hq"},
    "lasaft": {"demo": "demo", "published": "paper_gpocm_lasaft"},
}
CHOICES = ("fp32", "bf16", "compiled")
SECONDS = 6.0  # of a chunk where the recipe takes whole songs, and at most
ROUNDS = 3
LIMIT = 600  # seconds of a process
COLUMNS = ("what", "fp32, s", "bf16, s", "bf16: difference", "compiled, s", "its first call, s",
           "of another length, s", "compiled: difference")  # fmt: skip


def build(package: str, recipe_name: str) -> tuple[Any, Tensor]:
    paper = import_module(f"{package}.paper").PAPER
    recipe = load_recipe(paper.recipe_type, find_recipe(package, recipe_name)).recipe
    torch.manual_seed(0)
    model = paper.join_models([paper.build_model(recipe).eval()], recipe, {})
    seconds = min(recipe.inference.chunk_seconds or SECONDS, SECONDS)
    noise = torch.randn(1, model.channels, round(seconds * model.sample_rate))
    return model, 0.1 * noise


def measure(package: str, recipe_name: str, choice: str, out: str) -> None:
    """Write seconds of the first call, the least of the later ones, of a call of another length.

    As they are known: the process may be ended before the last.
    """
    keep_freed_memory()
    model, chunk = build(package, recipe_name)
    compiled = choice == "compiled"
    prepared = prepare(model, torch.device("cpu"), "bf16" if choice == "bf16" else "fp32", compiled)
    spent = []
    with torch.inference_mode():
        for each in [chunk] * (1 + ROUNDS) + [chunk[..., : chunk.shape[-1] * 3 // 4]]:
            began = time.perf_counter()
            estimates = prepared(each)
            spent.append(time.perf_counter() - began)
            found = {"first": spent[0]}
            if 1 < len(spent) < 2 + ROUNDS:
                found["least"] = min(spent[1:])
            elif len(spent) > 1:
                found |= {"least": min(spent[1:-1]), "other": spent[-1]}
            Path(f"{out}.json").write_text(json.dumps(found))
            if each is chunk:
                torch.save(estimates, out)


def difference(reference: str, estimate: str) -> str:
    """Of an output from that of fp32, in dB of its energy."""
    one, other = (torch.load(path).double() for path in (reference, estimate))
    error = (one - other).square().sum() / one.square().sum()
    return f"{10 * torch.log10(error).item():.0f} dB" if error else "none"


def attempt(words: list[str], folder: str, threads: int) -> dict[str, float] | str:
    """What a process of its own measured before its end, or why there is nothing."""
    command = [sys.executable, __file__, "--threads", str(threads), "--measure", *words]
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": f"{folder}/cache"}
    with suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            command, env=environment, stderr=subprocess.PIPE, text=True, timeout=LIMIT
        )
        if done.returncode:
            print(done.stderr[-1500:], file=sys.stderr)
            return "fails"
    known = Path(f"{words[-1]}.json")
    if not known.is_file():
        return f"over {LIMIT}"
    found: dict[str, float] = json.loads(known.read_text())
    return found


def row(package: str, size: str, choices: Sequence[str], threads: int) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        paths = {choice: f"{folder}/{choice}.pt" for choice in CHOICES}
        found = {
            choice: attempt([package, RECIPES[package][size], choice, path], folder, threads)
            if choice in choices
            else "-"
            for choice, path in paths.items()
        }
        apart = {
            choice: difference(paths["fp32"], path) if Path(path).is_file() else "-"
            for choice, path in paths.items()
        }

    def seconds(choice: str, what: str) -> str:
        measured = found[choice]
        if isinstance(measured, str):
            return measured
        return f"{measured[what]:.2f}" if what in measured else f"over {LIMIT}"

    return [
        f"{package}, {size}",
        *(seconds("fp32", "least"), seconds("bf16", "least"), apart["bf16"]),
        *(seconds("compiled", "least"), seconds("compiled", "first")),
        *(seconds("compiled", "other"), apart["compiled"]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--only", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--sizes", nargs="+", choices=("demo", "published"), default=["demo"])
    parser.add_argument("--choices", nargs="+", choices=CHOICES, default=CHOICES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--measure", nargs=4, help="package, recipe, choice, file: for itself")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.measure:
        return measure(*given.measure)
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|", flush=True)
    for size in given.sizes:
        for package in given.only:
            print(f"| {' | '.join(row(package, size, given.choices, given.threads))} |", flush=True)


if __name__ == "__main__":
    main()
