"""Where the seconds outside of the network go: a model that costs nothing, from file to files.

    python outside.py | tee outside.md          one process, a minute

Reading, overlap-add, rounding and writing of a song in four stems, at once and in chunks; in the
profile, seconds of the functions that take the most, by themselves. A profile sees one thread:
files are written one after another in it.
"""

import argparse
import cProfile
import pstats
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from inputs import write_song
from torch import Tensor, nn

from mss_shared.heap import keep_freed_memory
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation import Delivery, separate_file

WHOLE = InferenceConfig(0.0, 0.0, 0.0, "flat", "none")
CHUNKS = InferenceConfig(10.0, 0.25, 0.0, "triangle", "none")
LARGEST = 12  # in each table
ROUNDS = 3


class Fourths(nn.Module):
    """A fourth of the mixture as each of four stems."""

    stems = ("vocals", "drums", "bass", "other")
    sample_rate, channels = 44_100, 2

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, sample) -> (batch, stem, channel, sample)."""
        return torch.stack([0.25 * mixture] * 4, dim=1)


class Inline:
    """A pool without threads."""

    def __init__(self, _: int) -> None: ...

    def submit(self, act: Callable[..., Any], *arguments: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(act(*arguments))
        return done

    def shutdown(self, **_: object) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--seconds", type=float, default=240.0)
    given = parser.parse_args()
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as name:
        folder, model = Path(name), Fourths()
        write_song(folder / "song.wav", given.seconds)
        for what, inference in (("at once", WHOLE), ("chunks of 10 s", CHUNKS)):

            def act(inference: InferenceConfig = inference) -> None:
                separate_file(model, folder / "song.wav", folder / "out", inference, Delivery())
                for path in (folder / "out").rglob("*.wav"):
                    path.unlink()

            spent = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                act()
                spent.append(time.perf_counter() - began)
            print(f"{given.seconds:g} s of sound, {what}: {min(spent):.2f} s\n")
            profile = cProfile.Profile()
            with patch("mss_shared.separation.output.stem_files.Threads", Inline):
                profile.runcall(act)
            print("| function | calls | s in it |\n|---|---|---|")
            rows = sorted(pstats.Stats(profile).stats.items(), key=lambda item: -item[1][2])
            for (file, _, function), (_, calls, own, _, _) in rows[:LARGEST]:
                where = "" if file == "~" else f"{Path(file).stem}: "
                print(f"| `{where}{function}` | {calls} | {own:.3f} |")
            print(flush=True)


if __name__ == "__main__":
    main()
