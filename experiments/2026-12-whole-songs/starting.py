"""How long our commands take to say what they can do, and to separate five seconds of sound.

    python starting.py                          on idle cores; about three minutes
    python starting.py --sizes demo --rounds 1          a smoke test

``--help`` of every command and of the verbs used most; then the seconds from a command to its
stems on disk, with untrained weights on disk: until the model is loaded, and in all. At the end the
slowest imports of the slowest command, as ``-X importtime`` counts them.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from inputs import write_song
from run import PUBLISHED, ours

TOOLS = ("mss_shared.cli.mss_eval", "mss_shared.cli.mss_data", "mss_shared.new_paper",
         "mss_results")  # fmt: skip
VERBS = ("", "separate", "fit", "evaluate")
SONG_SECONDS = 5.0
IMPORTS = 25  # in the table


def seconds(command: list[str], rounds: int) -> float:
    """The least of several runs."""
    spent = []
    for _ in range(rounds + 1):  # the first fills the file cache
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        spent.append(time.perf_counter() - began)
    return min(spent[1:])


def print_help(rounds: int) -> None:
    print("| --help of | least s |\n|---|---|")
    print(f"| python -c pass | {seconds([sys.executable, '-c', 'pass'], rounds):.2f} |")
    for name in TOOLS:
        words = ["-c", f"from {name} import main; main()", "--help"]
        if name.endswith(("new_paper", "results")):
            words = ["-m", name, "--help"]
        print(f"| {name} | {seconds([sys.executable, *words], rounds):.2f} |", flush=True)
    for package in PUBLISHED:
        for verb in VERBS:
            command = [sys.executable, "-m", package, *filter(None, [verb]), "--help"]
            what = f"{package} {verb}".strip()
            print(f"| {what} | {seconds(command, rounds):.2f} |", flush=True)


def print_first_sounds(sizes: list[str], rounds: int, threads: int, folder: Path) -> list[str]:
    """Returns the words of the slowest, for ``-m``."""
    song, found = folder / "song.wav", []
    write_song(song, SONG_SECONDS)
    print("\n| stems of 5 s | s until loaded | s in the network | s in all |\n|---|---|---|---|")
    torch = seconds([sys.executable, "-c", "import torch"], rounds)
    print(f"| python -c 'import torch' | {torch:.2f} | - | {torch:.2f} |", flush=True)
    for size in sizes:
        for package, published in PUBLISHED.items():
            recipes = published if size == "published" else ("demo",)
            tries = [ours(package, recipes, song, folder, threads) for _ in range(rounds + 1)]
            best = min(tries[1:], key=lambda clock: clock["seconds"])
            cells = " | ".join(f"{best[name]:.2f}" for name in ("start", "network", "seconds"))
            print(f"| {package}: {' + '.join(recipes)} | {cells} |", flush=True)
            files = [str(folder / f"{package}-{recipe}.safetensors") for recipe in recipes]
            words = [package, "separate", str(song), "--checkpoint", *files]
            found.append((best["start"], [*words, "--out", str(folder / "again")]))
    return max(found)[1]


def print_imports(words: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = [line.split("|") for line in done.stderr.splitlines() if line.startswith("import time")]
    rows = [(int(total), int(own.split(":")[1]), name) for own, total, name in lines[1:]]
    print(f"\n`python -m {words[0]} separate`:\n\n| import | s with its own | s |\n|---|---|---|")
    for total, own, name in sorted(rows, reverse=True)[:IMPORTS]:
        print(f"| {name.strip()} | {total / 1e6:.2f} | {own / 1e6:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--sizes", nargs="+", choices=("demo", "published"), default=["demo", "published"]
    )
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(given.threads)
    print_help(given.rounds)
    with tempfile.TemporaryDirectory() as folder:
        slowest = print_first_sounds(given.sizes, given.rounds, given.threads, Path(folder))
        print_imports(slowest)


if __name__ == "__main__":
    main()
