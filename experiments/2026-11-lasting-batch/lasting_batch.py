"""Separate 100 songs while streams close, the disk fills up and the process is killed."""

from __future__ import annotations

import argparse
import os
import pty
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import soundfile
import torch
from tiny_paper.paper import PAPER
from tiny_songs import RATE, demo_recipe, noise

from mss_shared.checkpoints.checkpoint import save_model
from mss_shared.recipe import to_yaml

SONGS = 100
FORMATS = (("wav", "PCM_16"), ("wav", "FLOAT"), ("flac", "PCM_24"), ("ogg", "VORBIS"))
SMALL_MB, LARGE_MB = 6, 400


class Trial:
    """A folder of songs, the weights, and what an undisturbed run writes."""

    def __init__(self, root: Path, cleanup: ExitStack) -> None:
        self.root, self.cleanup = root, cleanup
        for number in range(SONGS):
            suffix, subtype = FORMATS[number % len(FORMATS)]
            path = root / "songs" / f"disc {number % 3}" / f"{number:03d}. song.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            signal = noise(number, samples=2 * RATE + 997 * number % RATE)
            with soundfile.SoundFile(path, "w", RATE, 2, subtype) as file:
                file.title, file.artist = f"Song {number}", "Nobody"
                file.write(signal.T)
        torch.manual_seed(0)
        recipe = to_yaml(demo_recipe().recipe)
        header = {"paper": "tiny_paper", "recipe": recipe, "recipe_name": "demo"}
        header |= {"verbatim": "true", "leaf_sources": "{}", "training": "null"}
        save_model(root / "weights.safetensors", PAPER.build_model(demo_recipe().recipe), header)
        assert self.finish(root / "expected") == 0
        self.expected = stems(root / "expected")
        assert len(self.expected) == 2 * SONGS

    def start(
        self, out: Path, through: tuple[str, ...] = (), **streams: object
    ) -> subprocess.Popen[bytes]:
        """Begin a batch, by way of another command if given."""
        words = ["separate", self.root / "songs", "--lossless", "--out", out]
        words += ["--checkpoint", self.root / "weights.safetensors"]
        command = [*through, sys.executable, "-m", "tiny_paper", *map(str, words)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(command, **(quiet | streams))  # type: ignore[call-overload,no-any-return]

    def finish(self, out: Path) -> int:
        """Run a batch to its end, undisturbed; returns its exit code."""
        return self.start(out).wait()

    def wait_for(self, out: Path, count: int, process: subprocess.Popen[bytes]) -> None:
        """Wait until some stems have their names, or the process has ended."""
        while process.poll() is None and len(finished(out)) < count:
            time.sleep(0.002)

    def wrong(self, out: Path) -> int:
        """Stems under their final names that differ from the undisturbed run's."""
        found = stems(out)
        return sum(self.expected.get(name) != content for name, content in found.items())


def finished(out: Path) -> list[Path]:
    """Files under final names."""
    files = [Path(folder, name) for folder, _, names in os.walk(out) for name in names]
    hidden = [p for p in files if any(part.startswith(".") for part in p.relative_to(out).parts)]
    return [path for path in files if path not in hidden and path.name != "separated.jsonl"]


def stems(out: Path) -> Mapping[str, bytes]:
    """The content of files under final names, by path."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in finished(out)}


def closed(trial: Trial, out: Path) -> str:
    """Without stdin, stdout and stderr."""
    process = trial.start(out, through=("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"))
    return f"exit code {process.wait()}"


def pipe_gone(trial: Trial, out: Path) -> str:
    """The reader of stderr goes away after ten songs."""
    reading, writing = os.pipe()
    process = trial.start(out, stderr=writing)
    os.close(writing)
    trial.wait_for(out, 20, process)
    os.close(reading)
    return f"exit code {process.wait()}"


def terminal_gone(trial: Trial, out: Path) -> str:
    """The terminal of stderr goes away after ten songs."""
    ours, theirs = pty.openpty()
    process = trial.start(out, stderr=theirs)
    os.close(theirs)
    trial.wait_for(out, 20, process)
    os.close(ours)
    return f"exit code {process.wait()}"


def disk_full(trial: Trial, out: Path) -> str:
    """The disk is too small at first, and is made larger for a second run."""
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "tmpfs", str(out), "-o"]
    subprocess.run([*mount, f"size={SMALL_MB}m"], check=True)
    trial.cleanup.callback(subprocess.run, ["umount", out], check=True)
    first = trial.finish(out)
    count, wrong = len(stems(out)), trial.wrong(out)
    subprocess.run([*mount, f"remount,size={LARGE_MB}m"], check=True)
    kept = f"{count} stems on the full disk, {wrong} of them wrong"
    return f"exit codes {first} and {trial.finish(out)}; {kept}"


def killed(trial: Trial, out: Path) -> str:
    """kill -9 at random moments, until the batch ends before its time."""
    clock, kills, wrong = random.Random(0), 0, 0
    while True:
        process = trial.start(out)
        trial.wait_for(out, len(finished(out)) + clock.randrange(1, 21), process)
        time.sleep(clock.uniform(0.0, 0.03))
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
        wrong += trial.wrong(out)
    return f"killed {kills} times, {wrong} wrong stems meanwhile; exit code {trial.finish(out)}"


def report(trial: Trial, out: Path) -> str:
    """What is there at the end, against the undisturbed run."""
    found = stems(out)
    equal = sum(trial.expected.get(name) == content for name, content in found.items())
    left = [p for p in out.rglob("*") if p.is_file() and p.name.startswith(".")]
    left += [p for p in out.glob(".separated/*")]
    assert equal == len(found) == len(trial.expected) and not left, (equal, len(found), left)
    return f"{equal} of {len(trial.expected)} | {len(left)}"


def main() -> None:
    """Print a table, a row per disturbance."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory(dir=folder) as name, ExitStack() as cleanup:
        trial = Trial(Path(name), cleanup)
        print("| disturbance | what happened | stems equal at the end | files left over |")
        print("|---|---|---|---|")
        for disturb in (closed, pipe_gone, terminal_gone, killed, disk_full):
            out = trial.root / disturb.__name__
            happened = disturb(trial, out)
            print(f"| {disturb.__doc__} | {happened} | {report(trial, out)} |", flush=True)


if __name__ == "__main__":
    main()
