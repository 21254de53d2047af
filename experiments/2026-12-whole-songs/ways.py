"""Other ways through a song: writing in a thread, more chunks per call, other files.

    python ways.py | tee ways.md          two threads: needs idle cores
    python ways.py --published --ways "to wav" "per call"     some ways at published size

Each way takes the same untrained network and song as the command would, in turn with the others in
one process, after a round to warm up; seconds are the least of the rounds, and "of the first" is
the median over rounds of its seconds over those of the first row.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import soundfile
import torch
from inputs import RATE
from run import PUBLISHED

from mss_shared.heap import keep_freed_memory
from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.separation import Delivery, separate_file

FILES = {
    "flac": (RATE, "PCM_16"),
    "mp3": (RATE, "MPEG_LAYER_III"),
    "wav, 48 kHz": (48_000, "PCM_16"),
}
SIDE_BY_SIDE = "mss_shared.separation.output.stem_files.cpu_count"
ON_A_GPU = "mss_shared.separation.separate.get_device"  # what decides on the thread


def write_songs(folder: Path, seconds: float) -> dict[str, Path]:
    """Noise as a 16-bit wav of 44.1 kHz and as the other files."""
    paths = {}
    for what, (rate, subtype) in {"wav": (RATE, "PCM_16"), **FILES}.items():
        noise = 0.1 * np.random.default_rng(0).standard_normal((round(seconds * rate), 2))
        paths[what] = folder / f"{rate}.{what.split(',')[0]}"
        soundfile.write(paths[what], noise, rate, subtype=subtype)
    return paths


def build(package: str, name: str) -> tuple[Callable[..., object], str]:
    """The separation of a recipe's network without song and options, and its chunks in words."""
    paper = import_module(f"{package}.paper").PAPER
    recipe = load_recipe(paper.recipe_type, find_recipe(package, name)).recipe
    torch.manual_seed(0)
    model = paper.join_models([paper.build_model(recipe).eval()], recipe, {})
    chunk = recipe.inference.chunk_seconds

    def act(song: Path, out: Path, delivery: Delivery, batch: int = 1, changed: Any = None) -> None:
        with changed or nullcontext():
            separate_file(model, song, out, recipe.inference, delivery, batch=batch)

    return act, f"chunks of {chunk:g} s" if chunk else "at once"


def rows(package: str, name: str, songs: dict[str, Path], out: Path, given: Any) -> list[str]:
    act, chunks = build(package, name)
    wav, plain = partial(act, songs["wav"], out), Delivery()
    ways = {
        "wav to wav": partial(wav, plain),
        "files written in a thread": partial(
            wav, plain, changed=patch(ON_A_GPU, return_value=torch.device("cuda"))
        ),
        **{f"to {to}": partial(wav, Delivery(container=to)) for to in ("flac", "mp3")},
        **{
            f"to {to}, one after another": partial(
                wav, Delivery(container=to), changed=patch(SIDE_BY_SIDE, return_value=1)
            )
            for to in ("flac", "mp3")
        },
        **{f"from {what}": partial(act, songs[what], out, plain) for what in FILES},
    }
    if chunks != "at once":
        ways |= {f"{batch} chunks per call": partial(wav, plain, batch=batch) for batch in (2, 4)}
    ways = {what: way for what, way in ways.items() if any(part in what for part in given.ways)}
    seconds: dict[str, list[float]] = {what: [] for what in ways}
    for _ in range(given.rounds + 1):
        for what, way in ways.items():
            began = time.perf_counter()
            way()
            seconds[what].append(time.perf_counter() - began)
            for path in out.rglob("*.*"):
                path.unlink()
    kept = {what: spent[1:] for what, spent in seconds.items()}
    first = next(iter(kept.values()))
    table = []
    for what, spent in kept.items():
        ratio = statistics.median(s / f for s, f in zip(spent, first, strict=True))
        table.append(f"| {package} {name}, {chunks} | {what} | {min(spent):.2f} | {ratio:.2f} |")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the song")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--published", action="store_true", help="first recipe of run.py")
    parser.add_argument("--ways", nargs="+", default=[""], help="those whose name has a part of it")
    parser.add_argument("--packages", nargs="+", choices=PUBLISHED, default=list(PUBLISHED))
    given = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        songs = write_songs(Path(folder), given.seconds)
        print("| network | way | least s | of the first |\n|---|---|---|---|")
        for package in given.packages:
            name = PUBLISHED[package][0] if given.published else "demo"
            table = rows(package, name, songs, Path(folder) / "out", given)
            print("\n".join(table), flush=True)


if __name__ == "__main__":
    main()
