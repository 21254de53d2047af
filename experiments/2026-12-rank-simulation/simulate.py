"""Writes boards, coverage, false_alarms, seeds and power.csv beside this file.

python simulate.py power    one of them again
"""

import csv
import sys
from collections.abc import Callable, Sequence
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


TABLES: dict[str, Callable[[], Sequence[dict[str, object]]]] = {
    "boards": lambda: [
        boards.simulate(rule, methods, tracks, spread, SEED)
        for rule in boards.RULES
        for spread in SPREADS_DB
        for methods in (10, 20)
        for tracks in (6, 50)
    ],
    "coverage": lambda: [line for n in (6, 10, 20, 50) for line in coverage.simulate(n, SEED)],
    "false_alarms": lambda: [coverage.false_alarms(n, SEED) for n in (6, 10, 20, 50)],
    "seeds": lambda: [line for n in (10, 20, 50) for line in seeds.false_alarms(n, SEED)],
    "power": lambda: [line for lead in seeds.LEADS_DB for line in seeds.power(lead, SEED)],
}

if __name__ == "__main__":
    for name in sys.argv[1:] or TABLES:
        write(f"{name}.csv", TABLES[name]())
