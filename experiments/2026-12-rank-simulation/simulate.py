"""Writes boards.csv, coverage.csv, false_alarms.csv and seeds.csv beside this file."""

import csv
from collections.abc import Sequence
from pathlib import Path

import boards
import coverage
import seeds

HERE = Path(__file__).parent
SEED = 2026
SPREADS_DB = (1.9, 0.0)


def write(name: str, lines: Sequence[dict[str, object]]) -> None:
    with (HERE / name).open("w", newline="") as file:
        table = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(lines)


if __name__ == "__main__":
    write(
        "boards.csv",
        [
            boards.simulate(rule, methods, tracks, spread, SEED)
            for rule in boards.RULES
            for spread in SPREADS_DB
            for methods in (10, 20)
            for tracks in (6, 50)
        ],
    )
    write("coverage.csv", [line for n in (6, 10, 20, 50) for line in coverage.simulate(n, SEED)])
    write("false_alarms.csv", [coverage.false_alarms(n, SEED) for n in (6, 10, 20, 50)])
    write("seeds.csv", [line for n in (10, 20, 50) for line in seeds.false_alarms(n, SEED)])
