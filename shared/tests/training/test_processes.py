"""Runs on two devices, and one of them killed; gloo on the CPU."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from tiny_paper.paper import PAPER
from tiny_places import TESTS
from tiny_songs import RATE, STEMS, demo_recipe, noise, write_track

from mss_shared import audio
from mss_shared.datasets import open_dataset
from mss_shared.recipe import LoadedRecipe
from mss_shared.testing import make_dataset
from mss_shared.training.fit import Machine, fit

# Of the validation's 0.75 s; dropout is drawn by each device for its own examples.
CHUNKS = {"uneven": 0.25, "fewer-than-devices": 0.75}
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m")


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The only validation track is three quarters of a second long."""
    root = make_dataset(tmp_path_factory.mktemp("songs"), STEMS, (RATE, 2), seconds=1.0)
    for path in (root / "train" / "train-0").iterdir():
        audio.write(path, audio.read(path, 0, 3 * RATE // 4), RATE)
    return root


def start(
    songs: Path, out: Path, *words: str, launcher: Sequence[str] = ("-m",)
) -> subprocess.Popen[str]:
    """``tiny-paper fit``."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS / "tiny"), *sys.path])}
    environment["MSS_FIRST_PROCESS"] = "1"  # left from a run around this one
    command = [sys.executable, *launcher, "tiny_paper", "fit", "--data_root", str(songs)]
    places = ["--out", str(out), "--device", "cpu", "--devices", "2"]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*command, *places, *words], env=environment, stdout=pipe, stderr=pipe, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    """What a run that ends well has printed: by its first process alone, and only lines of ours."""
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert out.count(" is shown as ") == 1 and out.count("needs a GPU") <= 1
    assert "nitializing distributed" not in out + error and "backend=gloo" not in out + error
    return out


def chunked(seconds: float) -> LoadedRecipe[object]:
    """Three epochs without dropout."""
    return demo_recipe(
        model={"dropout": 0.0},
        data={"chunk_seconds": seconds},
        training={"epochs": 3, "early_stop_epochs": 2},
    )


@pytest.fixture(scope="module")
def together(songs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parent of three runs on two devices, one after another in the same processes."""
    out = tmp_path_factory.mktemp("together")
    recipes = {name: chunked(seconds) for name, seconds in CHUNKS.items()}
    for name, loaded in {**recipes, "whole": demo_recipe(training={"epochs": 2})}.items():
        (out / f"{name}.yaml").write_text(loaded.text, encoding="utf-8")
    files = [str(path) for path in out.glob("*.yaml")]
    said = finish(start(songs, out, "--recipe", *files, launcher=TORCHRUN))
    assert said.count("model and run.json") == 3
    return out


def has_child(process: int) -> bool:
    """Whether a process has started another one."""
    parents = subprocess.run(["ps", "-A", "-o", "ppid="], capture_output=True, text=True)
    return str(process) in parents.stdout.split()


def losses(out: Path) -> np.ndarray:
    """(epoch, value) of training and validation loss."""
    with (out / "metrics.csv").open(encoding="utf-8") as file:
        rows = [(row["train/loss"], row["val/loss"]) for row in csv.DictReader(file)]
    return np.array(rows, float)


def content(out: Path) -> tuple[bytes, dict[str, bytes]]:
    """``metrics.csv`` and the weights of a run, as bytes."""
    weights = safetensors.numpy.load_file(out / "model.safetensors")
    return (out / "metrics.csv").read_bytes(), {k: v.tobytes() for k, v in weights.items()}


@pytest.mark.parametrize("name", CHUNKS)
def test_losses_do_not_depend_on_the_number_of_devices(
    songs: Path, together: Path, tmp_path: Path, name: str
) -> None:
    fit(PAPER, chunked(CHUNKS[name]), open_dataset(songs), tmp_path, Machine("cpu"))
    alone = losses(tmp_path)
    assert alone.shape == (3, 2)
    assert losses(together / name) == pytest.approx(alone, rel=0.0, abs=1e-6)


def test_a_killed_run_on_two_devices_with_workers_ends_as_if_it_had_not(
    songs: Path, together: Path, tmp_path: Path
) -> None:
    out, words = tmp_path / "out", ("--recipe", str(together / "whole.yaml"), "--workers", "1")
    killed = start(songs, out, *words)
    while not (out / "last.ckpt").exists():
        assert killed.poll() is None
        os.sched_yield()
    killed.kill()
    killed.communicate(timeout=120)  # also waits for the other device's process
    assert not (out / "run.json").exists()
    finish(start(songs, out, *words, "--resume"))
    assert content(out) == content(together / "whole")


def test_the_sdr_of_songs_does_not_depend_on_the_number_of_devices(
    songs: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(songs, tmp_path / "songs")
    for number, name in enumerate("abc"):
        stems = {stem: noise(10 * number + n) for n, stem in enumerate(STEMS)}
        if name == "b":
            stems["vocals"] *= 0.0
        write_track(root / "valid" / name, stems)
    loaded = demo_recipe(
        model={"dropout": 0.0},
        training={"keep": "best_sdr", "monitor": "sdr", "val_sdr_seconds": 0.0, "lr": 0.5},
    )
    (tmp_path / "sdr.yaml").write_text(loaded.text, encoding="utf-8")
    finish(start(root, tmp_path / "two", "--recipe", str(tmp_path / "sdr.yaml")))
    fit(PAPER, loaded, open_dataset(root), tmp_path / "one", Machine("cpu"))
    runs = [logged(tmp_path / run) for run in ("one", "two")]
    assert len(runs[0]) == 4 and runs[0][0].keys() == runs[1][0].keys()
    names = [name for name in runs[0][0] if name.startswith("val/sdr")]
    assert len(names) == 3
    for name in (*names, "lr"):
        values = [[float(row[name]) for row in rows] for rows in runs]
        assert values[0] == pytest.approx(values[1], rel=0.0, abs=1e-5), name
    chosen = [json.loads((tmp_path / run / "run.json").read_text()) for run in ("one", "two")]
    assert chosen[0]["selection"] == chosen[1]["selection"]


def logged(out: Path) -> list[dict[str, str]]:
    """The rows of ``metrics.csv``."""
    with (out / "metrics.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_two_devices_killed_within_an_epoch_end_as_if_they_had_not(
    songs: Path, together: Path, tmp_path: Path
) -> None:
    out, words = tmp_path / "out", ("--recipe", str(together / "whole.yaml"))
    killed = start(songs, out, *words, "--save_minutes", "0")
    while not (out / "step.ckpt").exists():
        assert killed.poll() is None
        os.sched_yield()
    killed.kill()
    killed.communicate(timeout=120)
    finish(start(songs, out, *words, "--resume"))
    assert content(out) == content(together / "whole")


def test_the_process_of_another_device_ends_when_the_first_is_killed_at_the_start(
    songs: Path, together: Path, tmp_path: Path
) -> None:
    killed = start(songs, tmp_path / "out", "--recipe", str(together / "whole.yaml"))
    while not has_child(killed.pid):  # the other still imports torch
        assert killed.poll() is None
    killed.kill()
    killed.communicate(timeout=60)  # also waits for the other's process
