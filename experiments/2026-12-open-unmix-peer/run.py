"""Train Open-Unmix with this package and with the authors', and write the losses of every epoch.

A training whose row of every epoch is in ``curves.csv`` is not repeated.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from pathlib import Path

import theirs
import torch

from mss_shared.datasets.musdb18 import decode, find_previews, get_cache
from mss_shared.datasets.opening import open_dataset
from mss_shared.recipe import LoadedRecipe, load_recipe
from mss_shared.training.fit import Machine, fit
from open_unmix.paper import PAPER
from open_unmix.recipe import Recipe

HERE = Path(__file__).parent
COLUMNS = ("side", "seed", "epoch", "train loss", "validation loss")
Curve = list[tuple[float, float]]


def main() -> None:
    """Train both sides with every seed."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, required=True, help="folder for our run folders")
    parser.add_argument("--table", type=Path, default=HERE / "curves.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load_recipe(Recipe, HERE / "recipe.yaml")
    decode(find_previews())
    curves = read(arguments.table)
    for seed in arguments.seeds:
        for side in ("authors", "ours"):
            if len(curves.get((side, seed), ())) == loaded.recipe.training.epochs:
                continue
            began = time.monotonic()
            out = arguments.out / f"seed{seed}"
            curves[side, seed] = list(train(side, loaded, seed, out))
            write(arguments.table, curves)
            print(f"{side}, seed {seed}: {curves[side, seed][-1][1]:.4f} after the last epoch,")
            print(f"  {time.monotonic() - began:.0f} s", flush=True)


def train(
    side: str, loaded: LoadedRecipe[Recipe], seed: int, out: Path
) -> Iterator[tuple[float, float]]:
    """The losses of every epoch, in training and validation."""
    if side == "authors":
        yield from theirs.train(loaded.recipe, get_cache(find_previews()), seed)
        return
    last = out / "last.ckpt"
    machine = Machine(device="cpu", workers=0)
    fit(PAPER, loaded, open_dataset("musdb18_7s"), out, machine, seed=seed, resume=last.exists())
    with (out / "metrics.csv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            yield float(row["train/loss"]), float(row["val/loss"])


def read(path: Path) -> dict[tuple[str, int], Curve]:
    """The curves of the table by side and seed."""
    curves: dict[tuple[str, int], Curve] = {}
    if path.exists():
        with path.open(encoding="utf-8") as lines:
            for side, seed, _, *losses in list(csv.reader(lines))[1:]:
                curve = curves.setdefault((side, int(seed)), [])
                curve.append((float(losses[0]), float(losses[1])))
    return curves


def write(path: Path, curves: dict[tuple[str, int], Curve]) -> None:
    """All curves, an epoch a row."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for (side, seed), curve in sorted(curves.items()):
            for epoch, (loss, check) in enumerate(curve, start=1):
                rows.writerow([side, seed, epoch, f"{loss:.6f}", f"{check:.6f}"])


if __name__ == "__main__":
    main()
