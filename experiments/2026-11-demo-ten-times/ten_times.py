"""Train a demo recipe with ten times its steps, or with other seeds, and print a row per run.

    python ten_times.py moises_light lasaft                  rows demo_10x on the board
    python ten_times.py moises_light lasaft --seeds 1 2      the demo recipe, off the board

The recipe is written from the package's own, with ten times its epochs and no other change.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

from mss_shared.evaluation.protocols import PROTOCOLS, aggregate
from mss_shared.evaluation.score_files import from_json

TOP = Path(__file__).parents[2]
RUNS = TOP / "experiments" / "runs"
EPOCHS = re.compile(r"^  epochs: (\d+)  # .*$", re.MULTILINE)


def ten_times(package: str) -> Path:
    """The package's demo recipe with ten times the epochs, among the runs."""
    text = (TOP / "packages" / package / "recipes" / "demo.yaml").read_text()
    [epochs] = EPOCHS.findall(text)
    line = f"  epochs: {10 * int(epochs)}  # ours: ten times the demo recipe's"
    path = RUNS / f"{package}-recipes" / "demo_10x.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(EPOCHS.sub(line, text))
    return path


def run(package: str, recipe: str, out: Path, scores: Path, seed: list[str]) -> Path:
    """Train, score, and return the folder of the scores."""
    command = [sys.executable, "-m", package]
    words = ["--recipe", recipe, "--data_root", "demo", "--out", str(out), *seed]
    subprocess.run([*command, "fit", *words], check=True, stdout=sys.stderr, cwd=TOP)
    words = ["--checkpoint", str(out), "--data_root", "demo", "--scores", str(scores)]
    subprocess.run([*command, "evaluate", *words], check=True, stdout=sys.stderr, cwd=TOP)
    header = json.loads((out / "run.json").read_text())
    return scores / "demo_small" / package / f"{Path(recipe).stem}-seed{header['training']['seed']}"


def bsseval_sdr(folder: Path) -> dict[str, float]:
    """BSSEval v4's SDR by stem, as the board has it."""
    protocol = PROTOCOLS["bsseval_v4"]
    files = sorted((folder / protocol.name / "test").glob("*.json"))
    tracks = [from_json(path.read_text(), path.stem, protocol.id) for path in files]
    return {stem: found["SDR"] for stem, found in aggregate(tracks, protocol).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("packages", nargs="+")
    parser.add_argument("--seeds", nargs="+", default=[])
    given = parser.parse_args()
    for package in given.packages:
        name = f"{package}-demo"
        if given.seeds:
            off = RUNS / "seed_scores"
            folders = [
                run(package, "demo", RUNS / f"{name}-seed{seed}", off, ["--seed", seed])
                for seed in given.seeds
            ]
        else:
            recipe = str(ten_times(package))
            folders = [run(package, recipe, RUNS / f"{name}_10x", TOP / "results" / "scores", [])]
        for folder in folders:
            stems = bsseval_sdr(folder)
            mean = sum(stems.values()) / len(stems)
            values = " | ".join(f"{value:.2f}" for value in (*stems.values(), mean))
            print(f"| {package} | {folder.name} | {values} |", flush=True)


if __name__ == "__main__":
    main()
