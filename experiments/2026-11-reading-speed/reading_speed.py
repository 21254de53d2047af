"""How fast wav, flac and mp3 are read, against plain soundfile and another version of the library.

Each reader is a process of its own that waits for a file and answers with seconds. They take turns
file by file, so that whatever else the machine does meanwhile slows them all alike, and count the
time in which they compute themselves.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

SECONDS, RATE, BLOCK = 240, 44_100, 2**16
FILES = {
    "wav, 16 bits": ("wav", "PCM_16"),
    "wav, 24 bits": ("wav", "PCM_24"),
    "wav, 32-bit float": ("wav", "FLOAT"),
    "flac, 16 bits": ("flac", "PCM_16"),
    "flac, 24 bits": ("flac", "PCM_24"),
    "mp3": ("mp3", "MPEG_LAYER_III"),
}
WAYS = ("whole", "in blocks")


def main() -> None:
    """Write files, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, required=True, help="shared/src of another version")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--reader", choices=("library", "soundfile"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.reader:
        answer(arguments.reader)
        return
    here = Path(__file__).resolve().parents[2] / "shared" / "src"
    readers = {
        "soundfile": start("soundfile", here),
        "before": start("library", arguments.before),
        "now": start("library", here),
    }
    print("| file | soundfile, ms | before, ms | now, ms | now / soundfile | now / before |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, (suffix, subtype) in FILES.items():
            path = Path(folder, f"a.{suffix}")
            write(path, subtype)
            for way in WAYS:
                found = {reader: [ask(p, way, path)] for reader, p in readers.items()}
                for _ in range(arguments.turns):
                    for reader, process in readers.items():
                        found[reader].append(ask(process, way, path))
                plain, before, now = (1e3 * min(seconds) for seconds in found.values())
                print(
                    f"| {name}, {way} | {plain:.1f} | {before:.1f} | {now:.1f} "
                    f"| {now / plain:.2f} | {now / before:.2f} |",
                    flush=True,
                )
    for process in readers.values():
        process.communicate()


def write(path: Path, subtype: str) -> None:
    """Tones that come and go, with noise."""
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", RATE, 2, subtype) as file:
        for second in range(SECONDS):
            moments = second + np.arange(RATE) / RATE
            sound = 0.3 * np.sin(2 * np.pi * np.outer(moments, (440.0, 660.0)))
            sound *= (0.5 + 0.5 * np.sin(2 * np.pi * moments / 3))[:, None]
            file.write(sound + rng.normal(0, 0.03 * (second % 5 > 1), sound.shape))


def start(reader: str, source: Path) -> subprocess.Popen[str]:
    """A process that reads files by the library under ``source``."""
    return subprocess.Popen(
        [sys.executable, __file__, "--before", ".", "--reader", reader],
        env={**os.environ, "PYTHONPATH": str(source)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(process: subprocess.Popen[str], way: str, path: Path) -> float:
    """The seconds of the processor that a process needs for a file."""
    assert process.stdin is not None and process.stdout is not None
    print(way, path, sep="\t", file=process.stdin, flush=True)
    return float(process.stdout.readline())


def answer(reader: str) -> None:
    """Read the files that stdin names, one a line, and print how long it took."""
    if reader == "library":
        from mss_shared import audio

        def whole(path: Path) -> None:
            audio.read(path)

        def in_blocks(path: Path) -> None:
            for _ in audio.read_blocks(path, 0, audio.info(path).samples, BLOCK):
                pass

    else:

        def whole(path: Path) -> None:
            soundfile.read(path, dtype="float32")

        def in_blocks(path: Path) -> None:
            with soundfile.SoundFile(path) as file:
                while len(file.read(BLOCK)):
                    pass

    for line in sys.stdin:
        way, name = line.rstrip("\n").split("\t")
        began = time.process_time()
        (whole if way == WAYS[0] else in_blocks)(Path(name))
        print(time.process_time() - began, flush=True)


if __name__ == "__main__":
    main()
