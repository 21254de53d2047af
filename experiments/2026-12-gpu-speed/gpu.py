"""All five papers at published size on a GPU: separating, training, precisions, compilation, peers.

    python gpu.py --out results.csv --peers FOLDER --seconds 400
    python gpu.py --out tiny.csv --device cpu --tiny              tries every row in small

Rows are measured in order of priority and each is appended to the file as it is done, so that a run
that is cut off keeps what it has. Rows for which no time is left are named in the file. A row that
fails says why; one that ends its process costs that row alone.
"""

import argparse
import csv
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

FIELDS = (
    *("kind", "model", "what", "precision", "compiled", "batch", "seconds", "ms", "realtime"),
    *("gmac", "gmac_s", "of_matrix", "peak_gb", "error", "first_s"),
    *("their_ms", "ratio", "their_peak_gb", "note", "device", "torch"),
)
LEAST_SECONDS = {"ours": 3.0, "peer": 5.0, "compiled": 15.0}  # that must be left for a row to begin
GRACE_SECONDS = 5.0  # after the budget, before a row that hangs is ended


@dataclass(frozen=True)
class Row:
    """One line of the table: whose, what is done, how."""

    kind: str  # ours, peer or compiled: rows of one kind in a row share a process
    model: str
    what: str
    precision: str

    @property
    def compiled(self) -> bool:
        return self.kind == "compiled"


def plan(only: list[str]) -> list[list[Row]]:
    """All rows in order of priority; those that share a process together."""
    from ours import MODELS
    from peers import LEFT_OUT, NAMES

    rows = [Row("ours", m, "infer", p) for p in ("fp32", "bf16") for m in MODELS]
    rows += [Row("ours", m, "train", p) for p in ("fp32", "bf16") for m in MODELS]
    rows += [
        Row("peer", m, what, p)
        for p in ("fp32", "bf16")
        for what in ("infer", "train")
        for m in NAMES
        if (m, what) not in LEFT_OUT
    ]
    rows += [Row("ours", m, what, "tf32") for what in ("infer", "train") for m in MODELS]
    rows += [Row("compiled", m, "infer", p) for p in ("bf16", "fp32") for m in MODELS]
    rows += [Row("compiled", m, "train", "bf16") for m in MODELS]
    kept = (row for row in rows if not only or row.kind in only)
    return [list(group) for _, group in groupby(kept, key=lambda row: row.kind)]


# ---- one process: rows of a kind, one after the other


@cache
def rate(precision: str, device: str) -> float:
    import clock

    return clock.matrix_rate(precision, device)


def measure(row: Row, given: argparse.Namespace) -> dict[str, Any]:
    """The numbers of a row."""
    if row.kind == "peer":
        import peers

        return peers.compare(
            row.model, row.what, row.precision, given.device, given.tiny, given.peers
        )
    import ours

    torch._dynamo.reset()
    act = ours.ACTIONS[row.what]
    return act(row.model, row.precision, row.compiled, given.device, given.tiny)


def attempt(row: Row, given: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """The numbers or the reason why there are none, and whether the process can go on."""
    matrix = rate(row.precision, given.device)
    try:
        found = measure(row, given)
    except Exception as error:  # whatever a driver, a compiler or another package raises
        lines = str(error).strip().splitlines() or [""]
        fatal = "CUDA error" in str(error) or type(error).__name__ == "AcceleratorError"
        return {"note": f"{type(error).__name__}: {lines[0][:160]}"}, not fatal
    reached = found["gmac"] / found["ms"] * 1e3
    return {**found, "gmac_s": reached, "of_matrix": reached / matrix}, True


def work(rows: list[Row], given: argparse.Namespace) -> None:
    """Measure rows and append them; a process that can't go on exits with 3."""
    for row in rows:
        if time.time() + LEAST_SECONDS[row.kind] > given.until:
            append(given, row, {"note": "no time left"})
            continue
        found, goes_on = attempt(row, given)
        append(given, row, found)
        if not goes_on:
            sys.stdout.flush()
            raise SystemExit(3)


def append(given: argparse.Namespace, row: Row, found: dict[str, Any]) -> None:
    """Add a line to the file, and say it."""
    name = torch.cuda.get_device_name() if given.device == "cuda" else "CPU"
    found = {key: f"{v:.5g}" if isinstance(v, float) else v for key, v in found.items()}
    line = {**asdict(row), "compiled": row.compiled, **found, "device": name}
    new = not given.out.exists()
    with given.out.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        if new:
            writer.writeheader()
        writer.writerow({**line, "torch": torch.__version__})
    shown = " ".join(f"{k}={line[k]}" for k in FIELDS[:-2] if line.get(k) not in (None, ""))
    print(f"{time.time() - given.began:6.1f} s  {shown}", flush=True)


# ---- the processes, one after the other


def run(number: int, rows: list[Row], given: argparse.Namespace) -> None:
    """Measure a group of rows in a process of its own, and in another one after each crash."""
    done = 0
    while done < len(rows):
        if time.time() > given.until:
            append(given, rows[done], {"note": "no time left"})
            done += 1
            continue
        before = count_lines(given.out)
        words = ["--out", str(given.out), "--device", given.device, "--group", str(number)]
        words += ["--first", str(done), "--until", str(given.until), "--began", str(given.began)]
        words += ["--tiny"] * given.tiny + (["--peers", given.peers] if given.peers else [])
        words += ["--only", *given.only] if given.only else []
        process = subprocess.Popen([sys.executable, __file__, *words])
        try:
            code = process.wait(max(1.0, given.until + GRACE_SECONDS - time.time()))
            why = f"the process ended with {code}"
        except subprocess.TimeoutExpired:
            process.kill()
            code, why = process.wait(), "ended: the time was over"
        done += count_lines(given.out) - before
        if code not in (0, 3) and done < len(rows):
            append(given, rows[done], {"note": why})
            done += 1


def count_lines(file: Path) -> int:
    if not file.exists():
        return 0
    with file.open(newline="", encoding="utf-8") as opened:
        return sum(1 for _ in csv.DictReader(opened))


def print_table(file: Path) -> None:
    """The rows of a file as Markdown."""
    columns = ("kind", "model", "what", "precision", "batch", "seconds", "ms", "realtime")
    columns += ("of_matrix", "peak_gb", "error", "first_s", "ratio", "note")
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    with file.open(newline="", encoding="utf-8") as opened:
        for line in csv.DictReader(opened):
            print(f"| {' | '.join(line[name].replace('|', '/') for name in columns)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--out", type=Path, required=True, help="a CSV file; rows are appended")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small networks and short sounds")
    parser.add_argument("--seconds", type=float, default=400.0, help="budget of the whole run")
    parser.add_argument("--peers", help="folder with the authors' packages, installed")
    parser.add_argument("--only", nargs="+", choices=tuple(LEAST_SECONDS), default=[])
    parser.add_argument("--group", type=int, help="measure it here; used by the script itself")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--until", type=float, default=0.0)
    parser.add_argument("--began", type=float, default=time.time())
    given = parser.parse_args()
    if given.group is not None:
        return work(plan(given.only)[given.group][given.first :], given)
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device: --device cpu --tiny tries the script")
    given.until = given.began + given.seconds
    for number, rows in enumerate(plan(given.only)):
        run(number, rows, given)
    print_table(given.out)


if __name__ == "__main__":
    main()
