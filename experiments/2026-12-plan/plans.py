"""Write plans.csv: what training each recipe of the five packages costs, from `fit --plan`.

A line stands for all recipes that differ only in their stems. Lines of recipes that have not
changed are kept, so an interrupted run goes on.
"""

from __future__ import annotations

import csv
import hashlib
import re
from argparse import Namespace
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from mss_shared.cli.plan import make_plan
from mss_shared.recipe import load_recipe, shipped_recipes

PAPERS = ("open_unmix", "lasaft", "moises_light", "bs_roformer", "tflocoformer_mss")
TABLE = Path(__file__).with_name("plans.csv")
STEMS = re.compile(r"vocals|drums|bass|other|speech|noise")
# As on one GPU, for songs like MUSDB18's.
ARGUMENTS = Namespace(
    data_root=None,
    device="cuda",
    devices=1,
    num_nodes=1,
    micro_batch=None,
    checkpoint_activations=False,
    step_seconds=None,
)
COLUMNS = (
    "paper", "recipes", "cost", "parameters", "gmac", "batch", "seconds", "gb", "recomputed_gb",
    "steps", "early", "passes", "exaflop", "days", "warnings",
)  # fmt: skip


def cost(recipe: Any) -> str:
    """A digest of what a recipe's cost depends on."""
    values = [recipe.data.chunk_seconds, recipe.data.examples_per_epoch, recipe.data.stems]
    values += [asdict(recipe.model), asdict(recipe.training)]
    text = STEMS.sub("stem", yaml.safe_dump(values_as_lists(values)))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def values_as_lists(value: Any) -> Any:
    """YAML has no tuples."""
    if isinstance(value, dict):
        return {key: values_as_lists(item) for key, item in value.items()}
    return [values_as_lists(v) for v in value] if isinstance(value, list | tuple) else value


def row_of(paper: Any, loaded: Any) -> dict[str, Any]:
    """The numbers of one line."""
    plan = make_plan(paper, loaded, ARGUMENTS)
    return {
        "parameters": plan.parameters,
        "gmac": f"{plan.gmac:.1f}",
        "batch": plan.batch,
        "seconds": f"{plan.seconds:.3g}",
        "gb": f"{plan.bytes / 1e9:.1f}",
        "recomputed_gb": f"{plan.recomputed_bytes / 1e9:.1f}",
        "steps": plan.steps,
        "early": int(plan.early),
        "passes": f"{plan.passes:.1f}",
        "exaflop": f"{plan.exaflop:.3g}",
        "days": f"{plan.hours / 24:.2g}",
        "warnings": "; ".join(plan.warnings),
    }


def main() -> None:
    known = {}
    if TABLE.is_file():
        with TABLE.open(encoding="utf-8") as file:
            known = {row["cost"]: row for row in csv.DictReader(file)}
    rows: dict[str, dict[str, Any]] = {}
    for name in PAPERS:
        paper = import_module(f"{name}.paper").PAPER
        for path in shipped_recipes(name):
            loaded = load_recipe(paper.recipe_type, path)
            key = cost(loaded.recipe)
            if key in rows:
                rows[key]["recipes"] += f" {path.stem}"
                continue
            numbers = known.get(key) or row_of(paper, loaded)
            rows[key] = {**numbers, "paper": name, "recipes": path.stem, "cost": key}
            write([*{**known, **rows}.values()])
            print(name, path.stem, rows[key]["gb"], rows[key]["days"], flush=True)
    write([*rows.values()])


def write(rows: list[dict[str, Any]]) -> None:
    """Write the lines so far."""
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
