"""Seconds and peak memory of training steps, with freed memory kept and given back, into steps.csv.

On idle cores, every recipe twice in turn, each in a process of its own: the median of 16 steps. A
setting of the user's environment that changes nothing keeps `keep_freed_memory` from acting.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
TOP = HERE.parents[1]
STEP_TIME = HERE.parent / "2026-12-equal-budget" / "step_time.py"
RECIPES = [(f"{package}/recipes/demo.yaml", "demo") for package in
           ("moises_light", "bs_roformer", "tflocoformer_mss", "open_unmix", "lasaft")] + [
    (f"{file}.yaml", "musdb18_7s") for file in (
        "moises_light/recipes/musdb18_7s", "bs_roformer/recipes/musdb18_7s",
        "bs_roformer/recipes/musdb18_7s_mel", "tflocoformer_mss/recipes/musdb18_7s",
        "tflocoformer_mss/recipes/musdb18_7s_bs", "open_unmix/recipes/musdb18_7s",
        "lasaft/recipes/musdb18_7s")]  # fmt: skip
COLUMNS = ("package", "recipe", "kept_s", "given_back_s", "ratio", "kept_mb", "given_back_mb")


def step(file: str, data_root: str, **environment: str) -> dict[str, float]:
    """What step_time.py prints of a recipe."""
    package = file.split("/")[0]
    done = subprocess.run(
        [sys.executable, str(STEP_TIME), package, str(TOP / "packages" / file), data_root],
        check=True, stdout=subprocess.PIPE, text=True, cwd=TOP, env=os.environ | environment,
    )  # fmt: skip
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--out", type=Path, default=HERE / "steps.csv")
    given = parser.parse_args()
    with given.out.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        for recipe, data_root in RECIPES:
            given_back = step(recipe, data_root, MALLOC_ARENA_MAX="8")
            kept = step(recipe, data_root)
            table.writerow({
                "package": recipe.split("/")[0], "recipe": Path(recipe).stem,
                "kept_s": kept["seconds"], "given_back_s": given_back["seconds"],
                "ratio": f"{given_back['seconds'] / kept['seconds']:.2f}",
                "kept_mb": kept["peak_mb"], "given_back_mb": given_back["peak_mb"],
            })  # fmt: skip
            file.flush()


if __name__ == "__main__":
    main()
