"""Data sets, metrics, `mss-data` and `mss-eval` run where the core alone is installed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_songs import noise, write_track

from mss_shared import audio
from mss_shared.evaluation.protocols import PROTOCOLS

RATE = 44_100
STEMS = ("vocals", "drums", "bass", "other")
# Before the program: every package that the core does not ask for is absent.
WITHOUT = """
import sys

ABSENT = {
    "torch", "lightning", "tensorboard", "jsonargparse", "yaml", "safetensors", "soxr", "av",
    "filelock", "pooch", "mss_demo_songs",
}


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Absent())
"""
METRICS = """
import importlib, pkgutil
import mss_shared.metrics

names = [found.name for found in pkgutil.iter_modules(mss_shared.metrics.__path__)]
assert len(names) > 10, names
for name in names:
    importlib.import_module(f"mss_shared.metrics.{name}")
import numpy as np
from mss_shared.metrics.sdr import usdr

stem = np.ones((2, 1000))
assert abs(usdr(stem, 0.9 * stem) - 20) < 1e-5
"""
COMMAND = "from mss_shared.cli.{} import main\nsys.argv = ['{}', *sys.argv[1:]]\nmain()\n"


def without(program: str, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT + program, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """One test track of 1.5 s with its mixture in `set`, estimates of it in `estimates`."""
    stems = {stem: noise(n, samples=RATE * 3 // 2) for n, stem in enumerate(STEMS)}
    write_track(tmp_path / "set" / "test" / "x", stems, RATE)
    mixture = np.clip(sum(stems.values()), -1, 1).astype(np.float32)
    audio.write(tmp_path / "set" / "test" / "x" / "mixture.wav", mixture, RATE)
    for n, (stem, signal) in enumerate(stems.items()):
        estimate = 0.8 * signal + noise(10 + n, samples=RATE * 3 // 2, scale=0.02)
        audio.write(tmp_path / "estimates" / "x" / f"{stem}.wav", estimate, RATE, "FLOAT")
    return tmp_path


def test_absent_packages_are_absent() -> None:
    ended = without("import torch\n")
    assert ended.returncode == 1 and "No module named 'torch'" in ended.stderr


def test_every_module_of_the_metrics_is_imported_and_counts() -> None:
    ended = without(METRICS)
    assert ended.returncode == 0, ended.stderr


def test_mss_eval_scores_every_protocol_that_needs_no_package_of_its_own(songs: Path) -> None:
    names = [name for name in PROTOCOLS if name != "log_wmse"]
    assert len(names) == 9
    words = [songs / "set", songs / "estimates", "--out", songs / "scores", "--jobs", 1]
    ended = without(COMMAND.format("mss_eval", "mss-eval"), *words, "--protocol", *names)
    assert ended.returncode == 0, ended.stderr
    [run] = (songs / "scores").rglob("run.json")
    record = json.loads(run.read_text())
    assert set(record["protocols"]) == set(names)
    assert len(list(run.parent.rglob("test/x.json"))) == 9


def test_mss_data_checks_and_describes(songs: Path) -> None:
    checked = without(COMMAND.format("mss_data", "mss-data"), "check", songs / "set")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.splitlines() == ["test/x: ok", "1 tracks, 0 with faults"]
    told = without(COMMAND.format("mss_data", "mss-data"), "info", songs / "set")
    assert told.returncode == 0 and "test: 1 tracks" in told.stdout


def test_what_the_core_lacks_is_a_sentence_with_what_to_install() -> None:
    ended = without(
        "from mss_shared import audio\n"
        "import numpy as np\n"
        "try: audio.resample(np.zeros((1, 9), np.float32), 8_000, 16_000)\n"
        "except ImportError as error: print(error)\n"
    )
    assert ended.stdout == (
        "resampling needs the package soxr, which is not installed: pip install "
        '"mss-shared[separate]"\n'
    )


def test_the_commands_load_none_of_it_where_it_is_there(songs: Path) -> None:
    pytest.importorskip("log_wmse_audio_quality", reason='pip install "mss-shared[logwmse]"')
    program = (
        "import sys\nfrom mss_shared.cli.mss_eval import main\nmain(sys.argv[1:])\n"
        "heavy = {'torch', 'jsonargparse', 'lightning', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    words = [songs / "set", songs / "estimates", "--out", songs / "scores", "--jobs", "1"]
    command = [sys.executable, "-c", program, *map(str, words), "--protocol", "usdr", "log_wmse"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
