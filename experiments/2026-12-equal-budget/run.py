"""Train seven small networks of five papers for equal time on MUSDB18's previews, and score them.

    python run.py              train and score what is missing: 7 recipes x 3 seeds, one at a time
    python run.py --measure    seconds per step of each recipe, on idle cores, into steps.csv; anew
    python run.py --rates      the learning rates that were tried, into rates.csv: each for a fifth
                               of the run, then the best and half of it for the whole run
    python run.py --curves     validation SDR of all finished runs, into curves.csv and a plot; of
                               a run that is not here, the lines in the file stay

A run may be interrupted and goes on where it was. One whose scores are in results/scores is not
made again; with `--scores FOLDER` that folder counts instead, so that an empty one makes all runs
anew, but for those that are complete in experiments/runs/equal-budget: these are only scored.
`--data_root demo:full` trains and scores the same recipes on generated songs; `--jobs 2` makes two
runs at a time, each with half of the cores; `--device cuda` trains and separates on a GPU, where a
run has the same steps and takes less time.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path

from plot import draw

from mss_shared import console
from mss_shared.datasets import open_dataset
from mss_shared.recipe import load_recipe

HERE = Path(__file__).parent
TOP = HERE.parents[1]
RUNS = TOP / "experiments" / "runs" / "equal-budget"
DATA_ROOTS = ("musdb18_7s", "demo:full")  # names: they are parts of those of folders
SEEDS = (0, 1, 2)
RATES = (2e-3, 4e-3, 8e-3)  # and on by factors of 2, until the best has a neighbour on each side
TRIAL_EPOCHS, EPOCHS = 2, 10  # of a trial and of the recipes
CURVES = ("data", "package", "recipe", "seed", "epoch", "step", "minutes", "sdr")


@dataclass(frozen=True)
class Row:
    """A recipe of a package."""

    package: str
    recipe: str
    name: str

    @property
    def file(self) -> Path:
        return TOP / "packages" / self.package / "recipes" / f"{self.recipe}.yaml"

    @cached_property
    def digest(self) -> str:
        """Of the recipe's values, as score files have it."""
        paper = import_module(f"{self.package}.paper").PAPER
        return load_recipe(paper.recipe_type, self.file).digest


ROWS = (
    Row("moises_light", "musdb18_7s", "Moises-Light"),
    Row("bs_roformer", "musdb18_7s", "BS-RoFormer"),
    Row("bs_roformer", "musdb18_7s_mel", "Mel-Band RoFormer"),
    Row("tflocoformer_mss", "musdb18_7s", "TF-Locoformer"),
    Row("tflocoformer_mss", "musdb18_7s_bs", "BS-Locoformer"),
    Row("open_unmix", "musdb18_7s", "Open-Unmix"),
    Row("lasaft", "musdb18_7s", "LaSAFT"),
)


def call(row: Row, verb: str, *words: str) -> None:
    """Run a verb of the package's command; what it prints goes to stderr."""
    command = [sys.executable, "-m", row.package, verb, *words]
    subprocess.run(command, check=True, stdout=sys.stderr, cwd=TOP)


@dataclass(frozen=True)
class Place:
    """What runs train on: songs, a device, and how many runs at a time."""

    data_root: str
    device: str
    jobs: int
    scores: Path

    def scored(self, row: Row, seed: int) -> bool:
        """Whether the scores of all test songs are there: `evaluate` writes run.json last."""
        runs = self.scores / self.data_root.replace(":", "_") / row.package
        record = runs / f"{row.recipe}-seed{seed}" / "run.json"
        if not record.is_file():
            return False
        if json.loads(record.read_text(encoding="utf-8"))["recipe_digest"] != row.digest:
            raise SystemExit(
                f"{record.parent} is of other values than {row.file} has: remove it and "
                f"{self.folder(row, seed)} to make that run again"
            )
        return True

    def folder(self, row: Row, seed: int) -> Path:
        return RUNS / self.data_root.replace(":", "-") / f"{row.package}-{row.recipe}-seed{seed}"

    def train(self, row: Row, out: Path, *words: str) -> None:
        """Fit unless the run is complete; go on from its last checkpoint if it has one."""
        if (out / "run.json").is_file():
            return
        call(row, "fit", "--recipe", row.recipe, "--data_root", self.data_root, "--out", str(out),
             "--device", self.device, "--resume", *words)  # fmt: skip

    def score(self, row: Row, out: Path) -> None:
        call(row, "evaluate", "--checkpoint", str(out), "--data_root", self.data_root,
             "--scores", str(self.scores), "--device", self.device)  # fmt: skip


def prepare(data_root: str) -> None:
    """Download, decode or generate the songs, or fail, before the first run."""
    with console.progress("preparing songs") as progress:
        open_dataset(data_root, progress)


def each(jobs: int, work: Callable[..., None], places: Iterable[tuple]) -> None:
    """`work` with every place, `jobs` at a time and in order; an error stops no other place."""
    if jobs > 1:
        os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // jobs))
    with ThreadPoolExecutor(jobs) as pool:
        found = [pool.submit(work, *place) for place in places]
        try:
            failed = [error for one in found if (error := one.exception()) is not None]
        finally:
            pool.shutdown(cancel_futures=True)
    if failed:
        raise SystemExit(f"{len(failed)} of {len(found)} failed; run it again: {failed[0]}")


def train_and_score(place: Place) -> None:
    """Every recipe and seed: seeds last, so that all recipes are seen early."""
    prepare(place.data_root)

    def work(seed: int, row: Row) -> None:
        out = place.folder(row, seed)
        place.train(row, out, "--seed", str(seed))
        place.score(row, out)

    missing = [(seed, row) for seed in SEEDS for row in ROWS if not place.scored(row, seed)]
    each(place.jobs, work, missing)


def measure(data_root: str) -> None:
    """Seconds per step of each recipe into steps.csv, each in a process of its own."""
    found = []
    for row in ROWS:
        command = [
            sys.executable,
            str(HERE / "step_time.py"),
            row.package,
            str(row.file),
            data_root,
        ]
        printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=TOP)
        found.append({"package": row.package, "recipe": row.recipe, **json.loads(printed.stdout)})
        print(found[-1], file=sys.stderr, flush=True)
    write(HERE / "steps.csv", tuple(found[0]), found)


def try_rates(place: Place) -> None:
    """Validation SDR of seed 0 for learning rates around the best, of a fifth and of all of a run.

    The rate that wins a fifth may be too high for the whole: as long as half of it is better
    there, it is halved.
    """
    prepare(place.data_root)
    found: dict[Row, dict[tuple[int, float], float]] = {row: {} for row in ROWS}
    trials = RUNS / ("rates" if place.device == "cpu" else f"rates-{place.device}")

    def attempt(row: Row, epochs: int, rate: float) -> None:
        out = trials / f"{row.package}-{row.recipe}-{epochs}-{rate:.1e}"
        place.train(row, out, "--recipe.training.lr", f"{rate:.1e}",
                    "--recipe.training.epochs", str(epochs))  # fmt: skip
        found[row][epochs, rate] = max(float(line["val/sdr"]) for line in validations(out))

    def search(row: Row) -> None:
        for rate in RATES:
            attempt(row, TRIAL_EPOCHS, rate)
        while (best := best_rate(found[row])) in (
            edges := (min(found[row])[1], max(found[row])[1])
        ):
            attempt(row, TRIAL_EPOCHS, best / 2 if best == edges[0] else best * 2)
        attempt(row, EPOCHS, best)
        attempt(row, EPOCHS, best / 2)
        while best_rate(whole := of_epochs(found[row], EPOCHS)) == (least := min(whole)[1]):
            attempt(row, EPOCHS, least / 2)

    each(place.jobs, search, ((row,) for row in ROWS))
    others = (line for line in read(HERE / "rates.csv") if line["device"] != place.device)
    write(HERE / "rates.csv", ("package", "recipe", "device", "epochs", "lr", "sdr"), [*others, *(
        {"package": row.package, "recipe": row.recipe, "device": place.device,
         "epochs": str(epochs), "lr": f"{rate:.1e}", "sdr": f"{sdr:.3f}"}
        for row in ROWS for (epochs, rate), sdr in sorted(found[row].items())
    )])  # fmt: skip


def best_rate(found: Mapping[tuple[int, float], float]) -> float:
    return max(found, key=found.__getitem__)[1]


def of_epochs(
    found: Mapping[tuple[int, float], float], epochs: int
) -> dict[tuple[int, float], float]:
    return {key: sdr for key, sdr in found.items() if key[0] == epochs}


def validations(out: Path) -> Iterator[dict[str, str]]:
    """The lines of a run's metrics.csv that hold a validation."""
    return (line for line in read(out / "metrics.csv") if line.get("val/sdr"))


def curves(place: Place) -> None:
    """Validation SDR over minutes of training, by the measured seconds of a step."""
    step_seconds = {
        (line["package"], line["recipe"]): float(line["seconds"])
        for line in read(HERE / "steps.csv")
    }
    before = list(read(HERE / "curves.csv"))
    kept = [line for line in before if line["data"] != place.data_root]
    for row in ROWS:
        for seed in SEEDS:
            out = place.folder(row, seed)
            if not (out / "run.json").is_file():
                kept += (line for line in before if line["data"] == place.data_root
                         and line["seed"] == str(seed) and mine(row, line))  # fmt: skip
                continue
            for epoch, line in enumerate(validations(out), start=1):
                step = int(line["step"])  # those made so far
                minutes = step * step_seconds[row.package, row.recipe] / 60
                values = (place.data_root, row.package, row.recipe, seed, epoch, step)
                shown = (f"{minutes:.2f}", f"{float(line['val/sdr']):.3f}")
                kept.append(dict(zip(CURVES, map(str, (*values, *shown)), strict=True)))
    of_data = [line for line in kept if line["data"] == place.data_root]
    if not of_data:
        raise SystemExit(f"{RUNS} has no complete run of {place.data_root} to draw")
    write(HERE / "curves.csv", CURVES, sorted(kept, key=in_order))
    draw(of_data, {(row.package, row.recipe): row.name for row in ROWS},
         HERE / f"curves-{place.data_root.replace(':', '-')}.svg")  # fmt: skip
    print("| recipe | seeds | best uSDR of the validation songs | range |")
    print("| --- | --- | --- | --- |")
    for row in ROWS:
        last = [
            max(
                float(line["sdr"])
                for line in of_data
                if line["seed"] == str(seed) and mine(row, line)
            )
            for seed in SEEDS
            if any(line["seed"] == str(seed) and mine(row, line) for line in of_data)
        ]
        if last:
            spread = f"{min(last):.2f} to {max(last):.2f}"
            print(f"| {row.name} | {len(last)} | {statistics.mean(last):.2f} | {spread} |")


def in_order(line: dict[str, str]) -> tuple[int, int, int, int]:
    """Where a line of curves.csv belongs."""
    row = [mine(row, line) for row in ROWS].index(True)
    return DATA_ROOTS.index(line["data"]), row, int(line["seed"]), int(line["epoch"])


def mine(row: Row, line: dict[str, str]) -> bool:
    return (line["package"], line["recipe"]) == (row.package, row.recipe)


def read(path: Path) -> Iterator[dict[str, str]]:
    """The lines of a CSV file; none if there is no file."""
    if path.is_file():
        with path.open(newline="") as file:
            yield from csv.DictReader(file)


def write(path: Path, columns: tuple[str, ...], lines: Iterable[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data_root", choices=DATA_ROOTS, default=DATA_ROOTS[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--scores", type=Path, default=TOP / "results" / "scores", metavar="FOLDER")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--measure", action="store_true")
    choice.add_argument("--rates", action="store_true")
    choice.add_argument("--curves", action="store_true")
    given = parser.parse_args()
    if given.jobs < 1:
        parser.error(f"--jobs is {given.jobs}: give 1 or more")
    if (given.measure or given.rates) and given.data_root != DATA_ROOTS[0]:
        parser.error(f"steps.csv and rates.csv are of {DATA_ROOTS[0]}: leave out --data_root")
    if previews := os.environ.get("MUSDB18_7S_ROOT"):  # the runs' current folder is another one
        os.environ["MUSDB18_7S_ROOT"] = str(Path(previews).expanduser().absolute())
    place = Place(given.data_root, given.device, given.jobs, given.scores.absolute())
    with console.one_sentence_errors("run.py"):
        if given.measure:
            measure(given.data_root)
        elif given.rates:
            try_rates(place)
        elif given.curves:
            curves(place)
        else:
            train_and_score(place)
            curves(place)


if __name__ == "__main__":
    main()
