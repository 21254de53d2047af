"""What the faults are done to: songs, a run, weights, scores, and how all of it looks unharmed."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "2026-12-whole-songs"))
import safetensors.numpy
from forked import Ending, Started, run_forked
from inputs import write_weights
from tiny_paper.paper import PAPER
from tiny_songs import RATE, STEMS, noise

from mss_results.__main__ import main
from mss_shared import audio
from mss_shared.cli import eval_command, run
from mss_shared.testing import make_dataset
from open_unmix.paper import PAPER as OPEN_UNMIX

# Imported once, here, and not again by each forked process.
HEAVY = ("mss_shared.training.fit", "mss_shared.cli.train", "mss_shared.cli.evaluate")
HEAVY += ("mss_shared.cli.separate", "scipy.signal", "tensorboard", "av", "tiny_paper.training")
HEAVY += ("mss_results.command", "open_unmix.export")
RESULTS = Path(__file__).parents[2] / "results"
WHOLE = (".csv", ".html", ".md", ".pth", ".wav")
LEFT = (".part-*", "*.partial", ".building-*", ".fit.lock", "*.lock")


class Bench:
    """Files of the tiny paper, below one folder.

    Attributes:
        songs: a data set.
        stems: estimates of its test songs.
        inputs: sound files to separate.
        run: a complete training run of two epochs.
        expected: by command, what it writes when nothing is in its way.
        seconds: by command, how long that takes.
    """

    def __init__(self, root: Path) -> None:
        for module in HEAVY:
            importlib.import_module(module)
        self.root, self.log = root, root / "log"
        self.songs = make_dataset(root / "songs", STEMS, (RATE, 2), test=4, seconds=1.0)
        self.stems = root / "stems"
        for number in range(4):
            for index, stem in enumerate(STEMS):
                estimate = noise(10 * number + index, samples=RATE)
                audio.write(self.stems / f"test-{number}" / f"{stem}.wav", estimate, RATE)
        self.inputs = root / "inputs"
        self.inputs.mkdir()
        for number in range(6):
            subtype = ("PCM_16", "FLOAT")[number % 2]
            audio.write(self.inputs / f"{number}.wav", noise(number, samples=RATE), RATE, subtype)
        self.network = root / "network.safetensors"
        write_weights("open_unmix", "demo", self.network)
        self.run = root / "run"
        assert self.do(self.fit(self.run)).code == 0, self.log.read_text(encoding="utf-8")
        self.expected: dict[str, dict[str, str]] = {}
        self.seconds: dict[str, float] = {}
        for name, command in self.commands().items():
            out = root / f"expected-{name}"
            ending = self.do(command(out))
            assert ending.code == 0, ending.printed
            self.expected[name], self.seconds[name] = content(out), ending.seconds

    def commands(self) -> dict[str, Callable[[Path], list[str]]]:
        """By name: output folder -> the words of a command that can be done again."""
        return {
            "separate": self.separate,
            "fit": self.fit,
            "evaluate": self.evaluate,
            "mss-eval --jobs 2": self.mss_eval,
            "mss-results import-museval": self.import_museval,
            "mss-results build": self.build,
            "open-unmix export": self.export,
        }

    def fit(self, out: Path) -> list[str]:
        """Train for two epochs, or go on."""
        words = ["fit", "--recipe", "demo", "--data_root", str(self.songs), "--device", "cpu"]
        again = ["--resume"] if (out / "recipe.digest").exists() else []
        return [*words, "--recipe.training.epochs", "2", "--out", str(out), *again]

    def separate(self, out: Path) -> list[str]:
        """Six songs."""
        words = ["separate", str(self.inputs), "--lossless", "--device", "cpu"]
        return [*words, "--checkpoint", str(self.run), "--out", str(out)]

    def evaluate(self, out: Path, checkpoint: Path | None = None) -> list[str]:
        """The data set's test songs."""
        words = ["evaluate", "--checkpoint", str(checkpoint or self.run), "--device", "cpu"]
        return [*words, "--data_root", str(self.songs), "--scores", str(out), "--protocol", "usdr"]

    def mss_eval(self, out: Path) -> list[str]:
        """Stems of the test songs, in two processes."""
        words = ["mss-eval", str(self.songs), str(self.stems), "--out", str(out), "--jobs", "2"]
        return [*words, "--protocol", "bsseval_v4", "usdr"]

    def import_museval(self, out: Path) -> list[str]:
        """The scores of ``mss_eval``, as those of museval, with their frames."""
        [folder] = {path.parent for path in self.root.glob("expected-mss-eval*/**/bsseval*/test/*")}
        words = ["mss-results", "import-museval", str(folder.parent), "--method", "mine"]
        words += ["--dataset", "songs", "--protocol", "bsseval_v4.vocals+drums@1"]
        return [*words, "--scores", str(out)]

    def build(self, out: Path) -> list[str]:
        """The boards of ``evaluate``'s scores."""
        words = ["mss-results", "build", "--scores", str(self.root / "expected-evaluate")]
        words += ["--papers", str(RESULTS / "papers.csv"), "--cache", str(out / ".cache")]
        return [*words, "--out", str(out), "--splice"]

    def export(self, out: Path) -> list[str]:
        """Small networks of Open-Unmix, in the layout of its authors."""
        words = ["open-unmix", "export", "--overwrite", "--checkpoint", str(self.network)]
        return [*words, "--out", str(out)]

    def do(
        self,
        words: list[str],
        *,
        file_bytes: int | None = None,
        kill_after: float = 60.0,
        stop: tuple[int, ...] = (),
    ) -> Ending:
        """Run a command in a process of its own."""
        work = partial(_run, words)
        return run_forked(work, self.log, file_bytes=file_bytes, kill_after=kill_after, stop=stop)

    def do_two(self, words: list[str], wait: float) -> tuple[Ending, Ending]:
        """Run a command twice, the second from ``wait`` seconds after the first."""
        first = Started(partial(_run, words), self.root / "first-log")
        time.sleep(wait)
        second = Started(partial(_run, words), self.log)
        return first.end(), second.end()

    def fresh(self, like: Path | None = None) -> Path:
        """An empty output folder, or a copy of another one."""
        out = self.root / "out"
        shutil.rmtree(out, ignore_errors=True)
        if like is not None:
            shutil.copytree(like, out)
        return out


def _run(words: list[str]) -> None:
    """``mss-eval``, ``mss-results``, or a verb of Open-Unmix or of the tiny paper."""
    if words[0] == "mss-eval":
        eval_command.run(words[1:])
    elif words[0] == "mss-results":
        sys.exit(main(words[1:]))
    elif words[0] == "open-unmix":
        run(OPEN_UNMIX, words[1:])
    else:
        run(PAPER, words)


def content(out: Path) -> dict[str, str]:
    """Digest of each file that must not depend on when and how often it was begun."""
    found = {}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if path.suffix == ".safetensors":
            tensors = safetensors.numpy.load_file(path)
            found[name] = digest(b"".join(tensors[key].tobytes() for key in sorted(tensors)))
        elif path.suffix in WHOLE or path.parent.name == "test":
            found[name] = digest(path.read_bytes())
    return found


def left_over(out: Path) -> list[str]:
    """Unfinished files and locks."""
    return [os.path.relpath(path, out) for kind in LEFT for path in out.rglob(kind)]


def digest(data: bytes) -> str:
    """SHA-256."""
    return hashlib.sha256(data).hexdigest()
