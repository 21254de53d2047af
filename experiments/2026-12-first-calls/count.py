"""How often is the first call of a function of torch wrong, in processes of their own?

    python count.py --processes 20        into table.md

Each process computes a function of 4096 numbers twice, on two threads, and compares.
"""

import argparse
import subprocess
import sys
from pathlib import Path

FUNCTIONS = ("cos", "exp", "hann_window")
CHILD = """
import sys
import torch

name, threads, prepared = sys.argv[1:]
torch.set_num_threads(int(threads))
if prepared == "yes":
    import mss_shared.interfaces
numbers = 0.1 + 0.001 * torch.arange(4096.0)
first, second = (
    torch.hann_window(4096) if name == "hann_window" else getattr(numbers, name)() for _ in range(2)
)
print(float((first - second).abs().max() / second.abs().max()))
"""


def errors(name: str, threads: int, prepared: str, processes: int) -> list[float]:
    """How far the two calls are apart in each process where they are, as a share of the peak."""
    command = [sys.executable, "-c", CHILD, name, str(threads), prepared]
    found = [
        float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(processes)
    ]
    return [each for each in found if each]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--processes", type=int, default=20, help="of each row")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("table.md"))
    given = parser.parse_args()
    with given.out.open("w", encoding="utf-8") as file:
        print("| function | threads | calls made before | wrong | largest error |", file=file)
        print("|---|---|---|---|---|", file=file)
        for name in FUNCTIONS:
            for threads, prepared in ((1, "no"), (2, "no"), (2, "yes")):
                wrong = errors(name, threads, prepared, given.processes)
                row = (name, threads, prepared, f"{len(wrong)} of {given.processes}")
                worst = f"{max(wrong):.0e}" if wrong else ""
                print("|", " | ".join(map(str, (*row, worst))), "|", file=file, flush=True)


if __name__ == "__main__":
    main()
