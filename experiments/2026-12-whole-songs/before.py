"""Whole songs by our commands of an earlier commit and of this one, in turn, in one run.

    python before.py | tee before.md          two threads: needs idle cores

Both write their own untrained weights and separate the same song, as ``run.py`` measures it.
Seconds are the least of the turns.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from inputs import write_song
from run import HERE, PUBLISHED, measure

COMMIT = "c17de1bb"  # before the first change for speed of 2026-11
WRITE = "import sys; from pathlib import Path; from inputs import write_weights as write; "
WRITE += "write(*sys.argv[1:3], Path(sys.argv[3]))"
HEAD = "| command | before, s | now, s | ratio | before, GB | now, GB |"


def sources(root: Path) -> str:
    """What of a checkout comes first on the path of Python."""
    folders = [root / "shared/src", *sorted((root / "packages").glob("*/src"))]
    return os.pathsep.join(map(str, folders))


def write_files(package: str, recipes: tuple[str, ...], path: str, folder: Path) -> list[str]:
    """Untrained weights, written by the code on the path."""
    files = []
    for recipe in recipes:
        files.append(str(folder / f"{package}-{recipe}.safetensors"))
        command = [sys.executable, "-c", WRITE, package, recipe, files[-1]]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join((path, str(HERE)))}
        subprocess.run(command, env=environment, check=True)
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--commit", default=COMMIT)
    parser.add_argument("--seconds", type=float, default=24.0, help="of the song")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sizes", nargs="+", choices=("published", "demo"), default=["published"])
    parser.add_argument("--packages", nargs="+", choices=PUBLISHED, default=list(PUBLISHED))
    given = parser.parse_args()
    root = HERE.parents[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        song, old = folder / "song.wav", folder / "old"
        write_song(song, given.seconds)
        git = ["git", "-C", str(root)]
        archive = subprocess.run([*git, "archive", given.commit], check=True, capture_output=True)
        old.mkdir()
        subprocess.run(["tar", "-x", "-C", str(old)], input=archive.stdout, check=True)
        print(f"{given.seconds:g} s of sound; before is commit {given.commit}\n")
        print(f"{HEAD}\n{'|---' * 6}|")
        for size in given.sizes:
            for package in given.packages:
                recipes = PUBLISHED[package] if size == "published" else ("demo",)
                words = {}
                for side, tree in {"before": old, "now": root}.items():
                    out = folder / f"{side}-{size}"
                    out.mkdir(exist_ok=True)
                    files = write_files(package, recipes, sources(tree), out)
                    words[side] = ["our_command.py", package, "separate", str(song), "--checkpoint"]
                    words[side] += [*files, "--out", str(out / package), "--overwrite"]
                found = {"before": [], "now": []}
                for _ in range(given.turns):
                    for side, tree in {"before": old, "now": root}.items():
                        found[side].append(
                            measure(words[side], folder, given.threads, sources(tree))
                        )
                seconds = {s: min(each["seconds"] for each in f) for s, f in found.items()}
                peaks = {s: min(each["peak"] for each in f) / 1e9 for s, f in found.items()}
                print(
                    f"| {package}, {size} | {seconds['before']:.1f} | {seconds['now']:.1f} "
                    f"| {seconds['before'] / seconds['now']:.2f} "
                    f"| {peaks['before']:.2f} | {peaks['now']:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
