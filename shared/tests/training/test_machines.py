"""Two machines, as torchrun and SLURM start them; here, two processes that are told so."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from tiny_paper.paper import PAPER
from tiny_places import TESTS
from tiny_songs import RATE, STEMS, demo_recipe

from mss_shared.datasets import open_dataset
from mss_shared.testing import make_dataset
from mss_shared.training.fit import Machine, fit

PATIENCE = 240.0  # seconds that a run may take on a busy machine


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("songs"), STEMS, (RATE, 2), seconds=1.0)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two epochs without dropout, which each device draws for itself."""
    file = tmp_path_factory.mktemp("recipe") / "short.yaml"
    loaded = demo_recipe(model={"dropout": 0.0}, training={"epochs": 2})
    file.write_text(loaded.text, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def alone(songs: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The losses of the run on one machine."""
    out = tmp_path_factory.mktemp("alone")
    loaded = demo_recipe(model={"dropout": 0.0}, training={"epochs": 2})
    fit(PAPER, loaded, open_dataset(songs), out, Machine("cpu"))
    return losses(out)


def losses(out: Path) -> np.ndarray:
    """(epoch, value) of training and validation loss."""
    with (out / "metrics.csv").open(encoding="utf-8") as file:
        rows = [(row["train/loss"], row["val/loss"]) for row in csv.DictReader(file)]
    return np.array(rows, float)


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def slurm(node: int, port: str) -> dict[str, str]:
    """What ``srun --nodes 2 --ntasks-per-node 1`` sets on a node."""
    return {
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NAME": "train",
        "SLURM_NNODES": "2",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_NODELIST": "127.0.0.1",
        "SLURM_NODEID": str(node),
        "SLURM_PROCID": str(node),
        "SLURM_LOCALID": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }


def torchrun(node: int, port: str) -> list[str]:
    """The launcher on a node."""
    words = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "1"]
    return [*words, "--node_rank", str(node), "--master_addr", "127.0.0.1", "--master_port", port]


def start(
    launcher: Sequence[str], environment: Mapping[str, str], words: Sequence[str]
) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(TESTS / "tiny"), *sys.path])
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "tiny_paper", "fit", *words],
        env={**os.environ, **environment, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("launcher", ["torchrun", "slurm"])
def test_two_machines_train_as_one(
    songs: Path, recipe: Path, alone: np.ndarray, tmp_path: Path, launcher: str
) -> None:
    out, port = tmp_path / "out", free_port()
    words = ["--recipe", str(recipe), "--data_root", str(songs), "--out", str(out)]
    words += ["--device", "cpu", "--devices", "1", "--num_nodes", "2"]
    nodes = [
        start(torchrun(node, port), {}, words)
        if launcher == "torchrun"
        else start([], slurm(node, port), words)
        for node in range(2)
    ]
    try:
        said = [node.communicate(timeout=PATIENCE) for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    assert [node.returncode for node in nodes] == [0, 0], said
    assert losses(out) == pytest.approx(alone, rel=0.0, abs=1e-6)
    # Every process but the first leaves the printing to it.
    assert sum(text.count("model and run.json") for text, _ in said) == 1
    assert (out / "model.safetensors").is_file()
