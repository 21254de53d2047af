"""What a run can't use or can't do, said in one sentence; the last good checkpoint stays."""

import dataclasses
import errno
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import types
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_paper.paper import PAPER
from tiny_paper.training import Training
from tiny_songs import RATE, STEMS, demo_recipe

from mss_shared import leases
from mss_shared.cli import run
from mss_shared.datasets import Dataset, open_dataset
from mss_shared.leases import make_lease
from mss_shared.recipe import LoadedRecipe
from mss_shared.testing import make_dataset
from mss_shared.training import endings
from mss_shared.training.callbacks import Checkpoints
from mss_shared.training.fit import Machine, fit
from mss_shared.training.run_folder import LOCK, owned

CPU = Machine(device="cpu")


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("songs"), STEMS, (RATE, 2), seconds=1.0)


@pytest.fixture(scope="module")
def dataset(songs: Path) -> Dataset:
    return open_dataset(songs)


def train(dataset: Dataset, out: Path, loaded: LoadedRecipe[Any], **options: Any) -> str:
    """Fit; returns the digest of the weights."""
    fit(PAPER, loaded, dataset, out, options.pop("machine", CPU), **options)
    return str(json.loads((out / "run.json").read_text(encoding="utf-8"))["weights_digest"])


# ---- values


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"devices": -1}, "--devices is -1: give 0 or more"),
        ({"num_nodes": 0}, "--num_nodes is 0: give 1 or more"),
        ({"workers": -1}, "--workers is -1: give 0 or more"),
        ({"save_top_k": -1}, "--save_top_k is -1: give 0 or more"),
        ({"device": "cuda"}, "--device cuda and --devices 0 .*: choose what is there"),
    ],
)
def test_a_machine_that_can_not_be_is_refused(
    dataset: Dataset, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    if changes.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has what the test asks for")
    machine = dataclasses.replace(CPU, **changes)
    with pytest.raises(ValueError, match=said):
        train(dataset, tmp_path / "out", demo_recipe(), machine=machine)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("section", "changes", "said"),
    [
        ("training", {"clip_norm": -1.0}, "clip_norm is -1.0: give more than 0, or null"),
        ("training", {"lr": float("nan")}, "training.lr is nan: give a number, 0 or more"),
        ("training", {"lr": float("inf")}, "training.lr is inf: give a number, 0 or more"),
        ("training", {"lr": -1.0}, "training.lr is -1.0: give a number, 0 or more"),
        ("training", {"plateau_patience": -1}, "plateau_patience is -1: give a number, 0 or more"),
        ("training", {"seed": 2**32}, "the seed is 4294967296: give 0 to 4294967295"),
        ("training", {"clip_norm": float("nan")}, "clip_norm is nan: give more than 0"),
        ("training", {"early_stop_epochs": 0}, "early_stop_epochs is 0: .* or null for never"),
        ("training", {"ema_decay": 1.0}, "ema_decay is 1.0: give 0 to below 1"),
        ("training", {"batch": 0}, "training.batch is 0: give at least 1"),
        ("training", {"val_sdr_seconds": 1e308}, "val_sdr_seconds is 1e.308: give a length of at"),
        ("data", {"chunk_seconds": 2.0**31}, "chunk_seconds is 2147483648.0: give at most 1200"),
        ("data", {"pitch_shift_semitones": 1e308}, "semitones is 1e.308: give at most 120"),
        ("data", {"gain_range": (-1e308, 1e308)}, "give gains up to 1000000"),
        ("data", {"mixup_prob": (1.0,) * 21}, "mixup_prob has 21 numbers: give at most 20"),
        ("model", {"channels": 2**63}, "model has a size of 9223372036854775808: give a smaller"),
        ("model", {"width": -1}, "model can't be built .*negative dimension -1.*: give other"),
        ("model", {"width": 2**20 + 1}, "model has a size of 1048577: give a smaller one"),
        ("inference", {"overlap": 1.0}, "recipe's inference: overlap is 1.0: give at least 0 and"),
        ("inference", {"chunk_seconds": -1.0}, "chunk_seconds is -1.0: give a length of at most"),
        ("inference", {"context_seconds": 1.0}, "context_seconds is 1.0 on both sides, which"),
        ("inference", {"window": "hann"}, "window is 'hann': choose from triangle, flat, fade"),
        ("inference", {"edges": ""}, "edges is '': choose from none, zeros, reflect, fit"),
        ("model", {"stems": ()}, "model names no stem: name one or more"),
        (
            "model",
            {"stems": ("drums", "drums")},
            "model names the stem drums twice",
        ),
        (
            "model",
            {"stems": ("a/b", "drums")},
            "stem of the recipe.s model is .a/b., which",
        ),
        ("data", {"stems": ("drums", "drums")}, "data.stems names the stem drums twice"),
        ("data", {"stems": ("../x = vocals", "drums")}, "a stem of data.stems is '../x', which"),
        ("data", {"stems": ()}, "data.stems names no stem"),
        ("model", {"width": 0}, "can't be built, as encode.weight would have no numbers: give"),
        ("data", {"chunk_seconds": 0.0}, "chunk_seconds is 0.0: give at least one sample of 8000"),
        ("data", {"chunk_seconds": -1.0}, "chunk_seconds is -1.0: give at least one sample"),
        ("data", {"chunk_seconds": float("nan")}, "chunk_seconds is nan: give a number"),
        ("data", {"examples_per_epoch": 0}, "examples_per_epoch is 0 and batch 4: an epoch must"),
        ("data", {"examples_per_epoch": -4}, "examples_per_epoch is -4 and batch 4"),
        ("data", {"polarity_prob": 1.5}, "polarity_prob is 1.5: give a probability from 0 to 1"),
        ("data", {"mixup_prob": (0.5, -0.1)}, "mixup_prob is -0.1: give a probability"),
        ("data", {"gain_range": (2.0, 1.0)}, r"gain_range is \[2.0, 1.0\]: give the lowest"),
        ("data", {"time_shift_seconds": -1.0}, "time_shift_seconds is -1.0: give 0 or more"),
        ("data", {"pitch_shift_semitones": -3.0}, "pitch_shift_semitones is -3.0: give 0 or more"),
    ],
)
def test_a_value_that_no_run_can_use_is_refused(
    dataset: Dataset, tmp_path: Path, section: str, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        train(dataset, tmp_path / "out", demo_recipe(**{section: changes}))
    assert not (tmp_path / "out").exists()


def test_wandb_without_a_login_is_one_sentence(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class UsageError(Exception):
        """As wandb's."""

    def init(**_: Any) -> None:
        raise UsageError("No API key configured. Use `wandb login` to log in.")

    monkeypatch.setattr("mss_shared.training.trainer.find_logger", lambda *_: FakeLogger(init))
    monkeypatch.setitem(sys.modules, "wandb", types.ModuleType("wandb"))
    said = (
        "wandb does not start .*No API key configured.*: log in with wandb login, or use --logger"
    )
    with pytest.raises(ValueError, match=said):
        train(dataset, tmp_path / "out", demo_recipe(), machine=Machine("cpu", logger="wandb"))
    assert not (tmp_path / "out").exists()


class FakeLogger:
    """A logger that is not logged in."""

    def __init__(self, init: Any) -> None:
        self.init = init

    @property
    def experiment(self) -> Any:
        return self.init()


# ---- files


def test_checkpoints_need_no_folder_for_temporary_files(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = train(dataset, tmp_path / "before", demo_recipe())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    assert train(dataset, tmp_path / "out", demo_recipe()) == expected


def test_files_have_the_mode_that_the_umask_says(dataset: Dataset, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        train(dataset, tmp_path / "out", demo_recipe(training={"keep": "best"}))
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "out").rglob("*.*")}
    assert {"last.ckpt", "best.ckpt", "model.safetensors", "run.json"} < modes.keys()
    assert set(modes.values()) == {0o640}, modes


@pytest.mark.parametrize("victim", ["last.ckpt", "metrics.csv", "model.safetensors"])
def test_a_full_disk_is_named_and_leaves_no_unfinished_file(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    loaded = demo_recipe()
    expected = train(dataset, tmp_path / "whole", loaded)
    written = Path.write_bytes, Path.write_text

    def full(self: Path, content: Any, **options: Any) -> int:
        if self.suffix == Path(victim).suffix and self.parent == tmp_path / "out":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written[isinstance(content, str)](self, content, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        patch.setattr(Path, "write_text", full)
        with pytest.raises(OSError) as raised:
            train(dataset, tmp_path / "out", loaded)
    assert raised.value.filename == str(tmp_path / "out" / victim)
    assert not list((tmp_path / "out").glob(".*"))
    assert train(dataset, tmp_path / "out", loaded, resume=True) == expected


@pytest.mark.parametrize("content", [b"", b"hello\n", None], ids=["empty", "garbage", "truncated"])
def test_a_damaged_checkpoint_is_named(
    dataset: Dataset, tmp_path: Path, content: bytes | None
) -> None:
    loaded = demo_recipe(training={"epochs": 1})
    train(dataset, tmp_path, loaded)
    (tmp_path / "run.json").unlink()
    last = tmp_path / "last.ckpt"
    last.write_bytes(last.read_bytes()[:3000] if content is None else content)
    with pytest.raises(ValueError, match=r"last.ckpt is damaged or no checkpoint .*: restore it"):
        train(dataset, tmp_path, loaded, resume=True)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_can_not_be_read_is_one_sentence_with_workers_too(
    songs: Path, tmp_path: Path, workers: int
) -> None:
    dataset = open_dataset(songs)
    lost = tmp_path / "moved.wav"
    path = next(iter(dataset.train[0].stems.values()))
    assert isinstance(path, Path)
    path.rename(lost)
    try:
        machine = Machine("cpu", workers=workers)
        with pytest.raises((ValueError, OSError)) as raised:
            train(dataset, tmp_path / "out", demo_recipe(), machine=machine)
    finally:
        lost.rename(path)
    assert path.name in str(raised.value) and "Traceback" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_killed_worker_is_one_sentence(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Training.training_step

    def kills(self: Training, batch: Any, number: int) -> Any:
        for worker in multiprocessing.active_children():
            worker.kill()
            worker.join()
        return plain(self, batch, number)

    monkeypatch.setattr(Training, "training_step", kills)
    long = demo_recipe(data={"examples_per_epoch": 64})
    with pytest.raises(ChildProcessError, match="data-loading process was killed.*fewer --workers"):
        train(dataset, tmp_path, long, machine=Machine("cpu", workers=1))


# ---- two runs in one folder


@pytest.fixture
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.2)


def test_a_folder_in_use_is_refused(dataset: Dataset, tmp_path: Path, quick_beats: None) -> None:
    with owned(tmp_path / "out"):
        with pytest.raises(ValueError, match=f"out is in use by process {os.getpid()} on"):
            train(dataset, tmp_path / "out", demo_recipe())
    assert not (tmp_path / "out").exists()
    train(dataset, tmp_path / "out", demo_recipe())


def test_a_folder_is_free_whose_holder_was_killed_before_it_wrote_its_name(
    tmp_path: Path, quick_beats: None
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / LOCK).touch()
    with owned(tmp_path / "out"):
        assert make_lease(tmp_path / "out" / LOCK).is_lock_held_by_us
    assert not (tmp_path / "out").exists()


def test_a_run_holds_its_folder_while_it_trains_also_with_workers(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []
    saved = Checkpoints.on_train_epoch_end

    def looks(self: Checkpoints, trainer: Any, module: Any) -> None:
        saved(self, trainer, module)
        held.append(make_lease(tmp_path / "out" / LOCK).is_lock_held_by_us)

    monkeypatch.setattr(Checkpoints, "on_train_epoch_end", looks)
    train(dataset, tmp_path / "out", demo_recipe(), machine=Machine("cpu", workers=2))
    assert held == 4 * [True] and not (tmp_path / "out" / LOCK).exists()


# ---- numbers


def poison(monkeypatch: pytest.MonkeyPatch, step: int, what: str) -> None:
    """Make the loss of a step (the first is 1), or the weights after it, no number."""
    plain, optimise = Training.training_step, Training.optimizer_step

    def loss(self: Training, batch: Any, number: int) -> Any:
        spoilt = self.trainer.global_step == step - 1 and what == "loss"
        return plain(self, batch, number) * (float("nan") if spoilt else 1.0)

    def weights(self: Training, *arguments: Any) -> None:
        spoilt = self.trainer.global_step == step - 1 and what == "weights"
        optimise(self, *arguments)
        if spoilt:
            with torch.no_grad():
                next(self.parameters()).view(-1)[0] = float("inf")

    monkeypatch.setattr(Training, "training_step", loss)
    monkeypatch.setattr(Training, "optimizer_step", weights)


@pytest.mark.parametrize("what", ["loss", "weights"])
@pytest.mark.parametrize("step", [3, 4])  # the first and the last of the second epoch
def test_a_run_without_numbers_keeps_its_last_good_checkpoint(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, what: str
) -> None:
    loaded = demo_recipe(training={"keep": "best"})
    expected = train(dataset, tmp_path / "whole", loaded)
    said = "training loss is nan" if what == "loss" else "weights are not finite"
    with monkeypatch.context() as patch:
        poison(patch, step, what)
        with pytest.raises(ValueError, match=f"{said} at step {step}, .*train-.* are kept"):
            train(dataset, tmp_path / "out", loaded)
    weights = torch.load(tmp_path / "out" / "last.ckpt", weights_only=True)
    assert weights["global_step"] == 2
    assert all(bool(value.isfinite().all()) for value in weights["state_dict"].values())
    assert train(dataset, tmp_path / "out", loaded, resume=True) == expected


def test_a_validation_loss_that_is_no_number_stops_the_run(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Training.log_mean
    monkeypatch.setattr(
        Training,
        "log_mean",
        lambda self, name, value, n: plain(
            self, name, value * float("inf") if name == "val/loss" else value, n
        ),
    )
    with pytest.raises(
        ValueError, match="validation loss is inf after step 2, .* train-1, train-2: lower"
    ):
        train(dataset, tmp_path, demo_recipe(training={"keep": "best"}))
    assert not list(tmp_path.glob("*.ckpt"))


def test_the_tracks_of_a_step_are_those_that_it_reads(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mss_shared.training.data import Examples
    from mss_shared.training.heard import Listener
    from mss_shared.training.random_mixes import default_examples

    loaded = demo_recipe(data={"random_mix_prob": 0.0}, training={"batch": 1})
    listener = Listener(dataset)
    sets = default_examples(listener.dataset, loaded.recipe.data, STEMS, 0)
    examples = Examples(sets, listener, 1, 0)
    heard = [examples.tracks_of(step) for step in range(1, 17)]
    assert all(len(names) == 1 for names in heard)
    assert {name for names in heard for name in names} == {"train-1", "train-2"}


# ---- signals


@pytest.fixture
def foreground() -> Iterator[None]:
    """The handlers of a command in the foreground: in the background, shells ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_in_a_step_ends_the_command_with_its_code(
    foreground: None,
    songs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: int,
    workers: str,
) -> None:
    assert threading.current_thread() is threading.main_thread()
    before = signal.getsignal(number)
    plain = Training.training_step

    def stopped(self: Training, batch: Any, n: int) -> Any:
        if self.trainer.global_step == 3:
            signal.raise_signal(number)
        return plain(self, batch, n)

    monkeypatch.setattr(Training, "training_step", stopped)
    words = ["fit", "--recipe", "demo", "--data_root", str(songs), "--device", "cpu"]
    with pytest.raises(SystemExit) as ended:
        run(PAPER, [*words, "--out", str(tmp_path / "o"), "--workers", workers])
    assert ended.value.code == code and not multiprocessing.active_children()
    assert torch.load(tmp_path / "o" / "last.ckpt", weights_only=True)["global_step"] == 2
    assert not list((tmp_path / "o").glob(".*")) and signal.getsignal(number) == before


def test_a_computation_that_outlasts_a_signal_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    over = threading.Event()
    monkeypatch.setattr(endings, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(os, "_exit", lambda code: (ended.append(code), over.set()))
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # the handler that can't run
    try:
        with endings.ends_in_time():
            signal.raise_signal(signal.SIGTERM)
            assert over.wait(60.0) and ended == [143]
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_signal_that_is_lost_in_a_step_ends_the_run_before_the_next(
    songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, steps = Training.training_step, []

    def deaf(self: Training, batch: Any, n: int) -> Any:
        steps.append(n)
        with suppress(SystemExit):  # as Python does where it deletes an object
            if len(steps) == 2:
                signal.raise_signal(signal.SIGTERM)
        return plain(self, batch, n)

    monkeypatch.setattr(Training, "training_step", deaf)
    words = ["fit", "--recipe", "demo", "--data_root", str(songs), "--device", "cpu"]
    with pytest.raises(SystemExit) as ended:
        run(PAPER, [*words, "--out", str(tmp_path / "o"), "--workers", "0"])
    assert ended.value.code == 143 and len(steps) == 2
    assert not (tmp_path / "o" / LOCK).exists()


def test_a_block_that_ends_after_a_signal_goes_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "_exit", lambda code: pytest.fail(f"ended with {code}"))
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with endings.ends_in_time():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not any("_watch" in thread.name for thread in threading.enumerate())


# ---- metrics


def test_a_lost_metrics_file_is_said(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = train(dataset, tmp_path, demo_recipe())
    assert train(dataset, tmp_path, demo_recipe(), resume=True) == expected
    assert "lacks" not in capsys.readouterr().out
    for name in ("metrics.csv", "run.json"):
        (tmp_path / name).unlink()
    assert train(dataset, tmp_path, demo_recipe(), resume=True) == expected
    said = "metrics.csv lacks epoch 0, 1, 2, 3, which last.ckpt has finished: restore the file"
    assert said in capsys.readouterr().out
    (tmp_path / "run.json").unlink()
    (tmp_path / "metrics.csv").write_bytes(b"\x00\xff,epoch\nx,y,z\n")
    with pytest.raises(ValueError, match=r"metrics.csv is damaged: restore it, or move it away"):
        train(dataset, tmp_path, demo_recipe(), resume=True)


@pytest.mark.parametrize("rate", [1.0e38, 1.0e39])
def test_a_learning_rate_beyond_all_numbers_is_one_sentence(
    dataset: Dataset, tmp_path: Path, rate: float
) -> None:
    said = "step is too large for its numbers .step 0: .* without overflow.: lower the learning"
    with pytest.raises(ValueError, match=said):
        train(dataset, tmp_path, demo_recipe(training={"lr": rate}))
