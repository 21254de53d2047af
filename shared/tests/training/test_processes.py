"""Runs as other processes, killed, signalled and on two devices; gloo on the CPU."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import soundfile
from tiny_places import TESTS
from tiny_songs import RATE, STEMS

from mss_shared.testing import make_dataset

# Dropout is drawn by each device for its examples.
SAME = ("--recipe.model.dropout", "0.0", "--recipe.training.epochs", "3")


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Validation: a quarter of a second is a chunk, and there are three."""
    root = make_dataset(tmp_path_factory.mktemp("songs"), STEMS, (RATE, 2), seconds=1.0)
    for path in (root / "train" / "train-0").iterdir():
        signal_, rate = soundfile.read(path)
        soundfile.write(path, signal_[: 3 * RATE // 4], rate)
    return root


def start(
    songs: Path, out: Path, *words: str, launcher: Sequence[str] = ()
) -> subprocess.Popen[str]:
    """``tiny-paper fit``."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS / "tiny"), *sys.path])}
    command = [sys.executable, *(launcher or ["-m"]), "tiny_paper", "fit", "--recipe", "demo"]
    places = ["--data_root", str(songs), "--out", str(out), "--device", "cpu"]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*command, *places, *words], env=environment, stdout=pipe, stderr=pipe, text=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Standard output and error of a run that ends well."""
    said = process.communicate(timeout=120)
    assert process.returncode == 0, said[1]
    return said


def losses(out: Path) -> np.ndarray:
    """(epoch, value) of training and validation loss."""
    with (out / "metrics.csv").open(encoding="utf-8") as file:
        return np.array(
            [[row["train/loss"], row["val/loss"]] for row in csv.DictReader(file)], float
        )


def content(out: Path) -> tuple[bytes, dict[str, bytes]]:
    """``metrics.csv`` and the weights of a run, as bytes."""
    weights = safetensors.numpy.load_file(out / "model.safetensors")
    return (out / "metrics.csv").read_bytes(), {k: v.tobytes() for k, v in weights.items()}


@pytest.mark.parametrize("chunk", ["0.25", "0.75"], ids=["uneven", "fewer-than-devices"])
def test_losses_do_not_depend_on_the_number_of_devices(
    songs: Path, tmp_path: Path, chunk: str
) -> None:
    words = (
        *SAME,
        "--recipe.data.chunk_seconds",
        chunk,
        "--recipe.training.early_stop_epochs",
        "2",
    )
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m")
    runs = {
        "one": start(songs, tmp_path / "one", *words),
        "two": start(songs, tmp_path / "two", *words, "--devices", "2", launcher=torchrun),
    }
    said = {name: finish(process) for name, process in runs.items()}
    assert said["two"][0].count("model and run.json") == 1
    assert losses(tmp_path / "one").shape == (3, 2)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=0.0, abs=1e-6)


def test_a_killed_run_on_two_devices_with_workers_ends_as_if_it_had_not(
    songs: Path, tmp_path: Path
) -> None:
    words = ("--recipe.training.epochs", "6", "--devices", "2", "--workers", "2")
    whole, parts = (start(songs, tmp_path / name, *words) for name in ("whole", "parts"))
    while not (tmp_path / "parts" / "last.ckpt").exists():
        assert parts.poll() is None
        os.sched_yield()
    parts.kill()
    parts.communicate(timeout=120)  # also waits for the other device's process
    finish(whole)
    assert not (tmp_path / "parts" / "run.json").exists()
    finish(start(songs, tmp_path / "parts", *words, "--resume"))
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def test_a_killed_worker_is_one_sentence(songs: Path, tmp_path: Path) -> None:
    process = start(songs, tmp_path / "out", "--workers", "1", "--recipe.training.epochs", "900")
    while not (tmp_path / "out" / "last.ckpt").exists():
        assert process.poll() is None
        os.sched_yield()
    worker = None
    while worker is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        worker = int(children[0]) if children else None
    os.kill(worker, signal.SIGKILL)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 2
    assert error.splitlines()[-1].startswith("tiny-paper: error: a data-loading process was killed")
    assert "Traceback" not in error
