"""Where the seconds outside of the network go: a model that costs nothing, from file to files.

    python outside.py | tee outside.md          one process, a minute

Reading, overlap-add, rounding and writing of a song in four stems, at once and in chunks; in the
profile, seconds of the functions that take the most, by themselves. A profile sees one thread:
files are written one after another in it. Reading the song and writing as many bytes in four files
by soundfile alone is what remains of it whatever we do.
"""

import argparse
import cProfile
import pstats
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import soundfile
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
BLOCK = 2**16  # frames


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


def bare(song: Path, out: Path) -> None:
    """The song, read in blocks, into a file per stem."""
    with ExitStack() as stack:
        source = stack.enter_context(soundfile.SoundFile(song))
        form = (source.samplerate, source.channels, "PCM_16")
        files = [
            stack.enter_context(soundfile.SoundFile(out / f"{stem}.wav", "w", *form))
            for stem in Fourths.stems
        ]
        for block in source.blocks(BLOCK, dtype="float32"):
            for file in files:
                file.write(block)


def least(act: Callable[[], None], folder: Path) -> float:
    """Seconds; the files are removed again."""
    spent = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        act()
        spent.append(time.perf_counter() - began)
        remove(folder)
    return min(spent)


def remove(folder: Path) -> None:
    for path in folder.rglob("*.wav"):
        path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--seconds", type=float, default=240.0)
    given = parser.parse_args()
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as name:
        folder, out, model = Path(name), Path(name) / "out", Fourths()
        out.mkdir()
        write_song(folder / "song.wav", given.seconds)
        seconds = least(lambda: bare(folder / "song.wav", out), out)
        print(f"{given.seconds:g} s of sound, by soundfile alone: {seconds:.2f} s\n")
        for what, inference in (("at once", WHOLE), ("chunks of 10 s", CHUNKS)):

            def act(inference: InferenceConfig = inference) -> None:
                separate_file(model, folder / "song.wav", out, inference, Delivery())

            print(f"{given.seconds:g} s of sound, {what}: {least(act, out):.2f} s\n")
            profile = cProfile.Profile()
            with patch("mss_shared.separation.output.stem_files.Threads", Inline):
                profile.runcall(act)
            remove(out)
            print("| function | calls | s in it |\n|---|---|---|")
            rows = sorted(pstats.Stats(profile).stats.items(), key=lambda item: -item[1][2])
            for (file, _, function), (_, calls, own, _, _) in rows[:LARGEST]:
                where = "" if file == "~" else f"{Path(file).stem}: "
                print(f"| `{where}{function}` | {calls} | {own:.3f} |")
            print(flush=True)


if __name__ == "__main__":
    main()
