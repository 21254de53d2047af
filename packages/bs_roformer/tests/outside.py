"""Run by tox in an empty folder: the installed package works by name, away from the repository."""

import os
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Call the command as a stranger would; the first that fails stops."""
    os.chdir(sys.argv[1])
    short = ["--recipe.training.epochs", "1", "--recipe.data.examples_per_epoch", "4"]
    for words in (
        ["--help"],
        ["fit", "--help"],
        ["fit", "--recipe", "demo", "--data_root", "demo:tiny", "--out", "run", *short],
        ["evaluate", "--checkpoint", "run", "--data_root", "demo:tiny", "--scores", "scores"],
        ["demo", "--data_root", "demo:tiny", "--out", "demo_run"],
    ):
        print("bs-roformer", *words, flush=True)
        subprocess.run(["bs-roformer", *words], check=True)
    assert Path("run/model.safetensors").is_file()
    assert list(Path("demo_run/scores").glob("*/bs_roformer/demo-seed0/run.json"))
    assert list(Path("scores").glob("*/bs_roformer/*/run.json"))


if __name__ == "__main__":
    main()
