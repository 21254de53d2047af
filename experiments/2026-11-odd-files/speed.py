"""How fast sound files are read, by this version of the library and by another one, in turn."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

SECONDS, RATE, EXCERPT = 180, 44_100, 6
TURNS = 5


def main() -> None:
    """Write files, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="shared/src of the other version")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        found: dict[str, list[dict[str, float]]] = {"before": [], "after": []}
        here = Path(__file__).resolve().parents[2] / "shared" / "src"
        for _ in range(TURNS):
            for name, source in (("before", arguments.before), ("after", here)):
                command = [sys.executable, __file__, "--measure", folder]
                given = {**os.environ, "PYTHONPATH": str(source)}
                said = subprocess.run(command, env=given, capture_output=True, check=True)
                found[name].append(json.loads(said.stdout))
    print("| file | before, ms | after, ms | before / after |\n|---|---|---|---|")
    for key in found["after"][0]:
        old, new = (min(turn[key] for turn in found[name]) for name in ("before", "after"))
        print(f"| {key} | {1e3 * old:.2f} | {1e3 * new:.2f} | {old / new:.2f} |")


def write(folder: Path) -> None:
    """Tones that come and go, with noise, three minutes."""
    rng, time_ = np.random.default_rng(0), np.arange(SECONDS * RATE) / RATE
    sound = np.stack([0.3 * np.sin(2 * np.pi * hz * time_) for hz in (440.0, 660.0)], axis=1)
    sound *= (0.5 + 0.5 * np.sin(2 * np.pi * time_ / 3))[:, None]
    sound += rng.normal(0, 0.03, sound.shape) * (np.sin(2 * np.pi * time_ / 5) > 0)[:, None]
    for name, subtype in (("wav", "PCM_16"), ("flac", "PCM_24"), ("mp3", None)):
        with soundfile.SoundFile(folder / f"a.{name}", "w", RATE, 2, subtype) as file:
            for first in range(0, len(sound), RATE):
                file.write(sound[first : first + RATE])


def measure(folder: Path) -> dict[str, float]:
    """The least seconds of a few tries, of each file whole, in blocks and in excerpts."""
    from mss_shared import audio

    found = {}
    starts = np.random.default_rng(0).integers(0, (SECONDS - EXCERPT) * RATE, 20)
    for path in sorted(folder.iterdir()):
        found[f"{path.suffix}, whole"] = least(lambda path=path: audio.read(path), 3)
        samples = audio.info(path).samples

        def blocks(path: Path = path, samples: int = samples) -> None:
            for _ in audio.read_blocks(path, 0, samples, 2**16):
                pass

        def excerpts(path: Path = path) -> None:
            for start in starts:
                audio.read(path, int(start), EXCERPT * RATE)

        found[f"{path.suffix}, in blocks"] = least(blocks, 3)
        found[f"{path.suffix}, an excerpt of {EXCERPT} s"] = least(excerpts, 3) / len(starts)
        found[f"{path.suffix}, header"] = least(lambda path=path: audio.info(path), 30)
    return found


def least(call: Callable[[], object], tries: int) -> float:
    """Seconds of the fastest of several calls."""
    seconds = []
    for _ in range(tries):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
