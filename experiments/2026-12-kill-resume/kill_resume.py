"""Kill training at random moments, resume it, and compare the bytes with an undisturbed run.

Every package trains its demo recipe for a few steps on the tiny demo set. For each number of
processes one run is left alone; for each number of workers and each kill, another is ended by
SIGKILL at a random moment between its first file and the undisturbed run's last, then resumed. The
table says whether metrics.csv and all weights are equal to the bit.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import safetensors.numpy

from mss_shared.recipe import find_recipe, load_recipe

PACKAGES = ("open_unmix", "moises_light", "bs_roformer", "tflocoformer_mss", "lasaft")
COLUMNS = ("package", "processes", "workers", "kill", "moment", "epochs before", "equal")
EPOCHS, STEPS = 3, 1
Row = tuple[str, int, int, int]  # package, processes, workers, kill


@dataclass(frozen=True)
class Runs:
    """The runs of a package on a number of processes, and their folder."""

    package: str
    processes: int
    folder: Path

    def start(self, name: str, *words: str) -> subprocess.Popen[str]:
        """Begin ``fit`` into a folder of that name; what it says goes to a file beside it."""
        log = (self.folder / f"{name}.log").open("a", encoding="utf-8")
        command = [sys.executable, "-m", self.package, "fit", "--recipe", "demo"]
        places = ["--data_root", "demo:tiny", "--device", "cpu", "--out", str(self.folder / name)]
        size = ["--devices", str(self.processes), "--recipe.training.epochs", str(EPOCHS)]
        size += ["--recipe.data.examples_per_epoch", str(STEPS * batch(self.package))]
        return subprocess.Popen(
            [*command, *places, *size, *words], stdout=log, stderr=log, text=True
        )

    def run(self, name: str, *words: str) -> float | str:
        """Seconds from the run's first file to its end, or the sentence by which it refused."""
        process, began = self.start(name, *words), None
        while process.poll() is None:
            if began is None and (self.folder / name / "recipe.digest").exists():
                began = time.monotonic()
            time.sleep(0.01)
        if process.returncode:
            return (self.folder / f"{name}.log").read_text(encoding="utf-8").splitlines()[-1]
        return time.monotonic() - (began or time.monotonic())

    def kill(self, name: str, moment: float, *words: str) -> int:
        """Begin a run and kill it so many seconds after its first file; epochs in its metrics."""
        process, out = self.start(name, *words), self.folder / name
        while process.poll() is None and not (out / "recipe.digest").exists():
            time.sleep(0.001)
        time.sleep(moment)
        process.kill()
        process.wait()
        metrics = out / "metrics.csv"
        lines = metrics.read_text(encoding="utf-8").splitlines() if metrics.exists() else []
        return max(0, len(lines) - 1)

    def content(self, name: str) -> tuple[bytes, dict[str, bytes]]:
        """metrics.csv and the weights, as bytes."""
        out = self.folder / name
        weights = safetensors.numpy.load_file(out / "model.safetensors")
        return (out / "metrics.csv").read_bytes(), {k: v.tobytes() for k, v in weights.items()}


def batch(package: str) -> int:
    """Of the demo recipe."""
    paper = import_module(f"{package}.paper").PAPER
    found: int = load_recipe(paper.recipe_type, find_recipe(package, "demo")).recipe.training.batch
    return found


def trial(runs: Runs, seconds: float, workers: int, number: int) -> tuple[str, int, str]:
    """Kill and resume once; the moment, the epochs before it, and whether all bytes are equal."""
    moment = random.Random(f"{runs.package} {runs.processes} {workers} {number}").random() * seconds
    name, words = f"workers{workers}-kill{number}", ("--workers", str(workers))
    epochs = runs.kill(name, moment, *words)
    ended = runs.run(name, *words, "--resume")
    if isinstance(ended, str):
        return f"{moment:.1f} s", epochs, ended
    equal = runs.content(name) == runs.content("whole")
    return f"{moment:.1f} s", epochs, "yes" if equal else "NO"


def wanted(words: list[str], kills: int) -> list[tuple[str, int, int, int]]:
    """(package, processes, workers, kill) of the rows that ``--only`` names; all without it."""
    rows = list(itertools.product((1, 2), PACKAGES, range(kills), (2, 0)))
    every = [(package, processes, workers, kill) for processes, package, kill, workers in rows]
    chosen = [tuple(word.split(":")) for word in words] or [()]
    return [row for only in chosen for row in every if tuple(map(str, row))[: len(only)] == only]


def read(table: Path) -> dict[Row, list[str]]:
    """The rows that are done, by package, processes, workers and kill."""
    if not table.exists():
        return {}
    with table.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    return {(r[0], int(r[1]), int(r[2]), int(r[3])): r[4:] for r in rows if r[6] != "not run"}


def write(table: Path, rows: dict[Row, list[str]]) -> None:
    """The table, in the order of processes and packages."""
    order = {row: number for number, row in enumerate(wanted([], 9))}
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([*row, *rows[row]] for row in sorted(rows, key=order.__getitem__))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of all runs; made anew")
    parser.add_argument("--table", type=Path, default=Path(__file__).with_name("table.csv"))
    parser.add_argument("--minutes", type=float, default=15.0, help="begin no trial after this")
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="PACKAGE[:PROCESSES[:WORKERS[:KILL]]]"
    )
    arguments = parser.parse_args()
    shutil.rmtree(arguments.out, ignore_errors=True)
    end = time.monotonic() + 60.0 * arguments.minutes
    rows = read(arguments.table)
    whole: dict[Runs, float | str] = {}
    for row in wanted(arguments.only, arguments.kills):
        package, processes, workers, kill = row
        if row in rows or time.monotonic() > end:
            continue
        runs = Runs(package, processes, arguments.out / f"{package}-{processes}")
        if runs not in whole:
            runs.folder.mkdir(parents=True)
            whole[runs] = runs.run("whole")
        seconds = whole[runs]
        found = ("", "", seconds) if isinstance(seconds, str) else trial(runs, seconds, *row[2:])
        rows[row] = [str(value) for value in found]
        print(*row, *found, sep=" | ", flush=True)
        write(arguments.table, rows)


if __name__ == "__main__":
    main()
