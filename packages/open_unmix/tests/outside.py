"""Run by tox in an empty folder: the installed package works by name, away from the repository."""

import os
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Call the command as a stranger would; the first that fails stops."""
    os.chdir(sys.argv[1])
    short = ["--recipe.training.epochs", "1", "--recipe.data.examples_per_epoch", "8"]
    song = "demo_run/stems/{}/vocals.wav"
    for words in (
        ["--help"],
        ["fit", "--help"],
        ["fit", "--recipe", "demo", "--data_root", "demo:tiny", "--out", "run", *short],
        ["evaluate", "--checkpoint", "run", "--data_root", "demo:tiny", "--scores", "scores"],
        ["demo", "--data_root", "demo:tiny", "--out", "demo_run"],
        ["separate", "SONG", "--model", "run", "--niter", "2", "--duration", "1", "--out", "stems"],
        ["export", "--checkpoint", "run", "--out", "exported"],
        ["separate", "SONG", "--model", "exported", "--targets", "vocals", "--out", "vocals"],
    ):
        if "SONG" in words:
            name = next(Path("demo_run/stems").iterdir()).name
            words = [song.format(name) if word == "SONG" else word for word in words]
        print("open-unmix", *words, flush=True)
        subprocess.run(["open-unmix", *words], check=True)
    assert Path("run/model.safetensors").is_file()
    assert list(Path("demo_run/scores").glob("*/open_unmix/demo-seed42/run.json"))
    assert list(Path("demo_run/scores").glob("*/open_unmix/demo-seed42-niter-0/run.json"))
    assert list(Path("scores").glob("*/open_unmix/*/run.json"))
    assert len(list(Path("stems").glob("*/*.wav"))) == 4
    assert len(list(Path("vocals").glob("*/*.wav"))) == 1


if __name__ == "__main__":
    main()
