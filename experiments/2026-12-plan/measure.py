"""Write measured.csv: the memory of real steps on a CPU beside what is computed for them.

Every line is a process of its own (one_step.py), whose resident memory is read at its peak.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# Small enough for 4 GB: fewer examples or shorter ones than the recipe's.
STEPS = (
    ("open_unmix", "umxhq_vocals", 4, ""),
    ("moises_light", "paper_large_vocals", 1, "--recipe.data.chunk_seconds=2.0"),
    ("lasaft", "paper_gpocm_lasaft", 2, ""),
    ("bs_roformer", "demo", 4, ""),
    ("tflocoformer_mss", "demo", 4, ""),
)


def main() -> None:
    with (HERE / "measured.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["paper", "recipe", "examples", "change", "recomputed", "measured", "computed"]
        )
        for *words, change in STEPS:
            for flag in ("", "--checkpoint_activations"):
                command = [sys.executable, str(HERE / "one_step.py"), *map(str, words)]
                command += [word for word in (change, flag) if word]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found = json.loads(done.stdout.splitlines()[-1])
                row = [*words, change, int(bool(flag)), found["measured"], found["computed"]]
                writer.writerow(row)
                file.flush()
                print(row, flush=True)


if __name__ == "__main__":
    main()
