"""Resuming at the awkward moments: after the end, after an early stop, after Ctrl-C."""

import hashlib
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import Callback
from tiny_paper.paper import PAPER
from tiny_paper.training import Training
from tiny_songs import RATE, STEMS, demo_recipe, without_added_keys

from mss_shared.datasets import Dataset, open_dataset
from mss_shared.recipe import LoadedRecipe, earlier_digest, recipe_digest
from mss_shared.testing import make_dataset
from mss_shared.training import fit as engine
from mss_shared.training.begun import Start
from mss_shared.training.callbacks import Checkpoints, MetricsFile
from mss_shared.training.fit import Machine, fit
from mss_shared.training.heir import open_parent
from mss_shared.training.run_folder import RunFolder
from mss_shared.training.trainer import accumulation

CPU = Machine(device="cpu")
FILES = ("recipe.digest", "recipe.yaml", "begun.json", "metrics.csv", "last.ckpt")  # of a run


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = make_dataset(tmp_path_factory.mktemp("songs"), STEMS, (RATE, 2), seconds=1.0)
    return open_dataset(root)


def train(
    dataset: Dataset,
    out: Path,
    loaded: LoadedRecipe[Any],
    resume: bool = False,
    machine: Machine = CPU,
) -> tuple[bytes, str, int]:
    """Fit; returns metrics.csv, the digest of the weights, the steps of the record."""
    fit(PAPER, loaded, dataset, out, machine, resume=resume)
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    metrics = (out / "metrics.csv").read_bytes()
    return metrics, record["weights_digest"], record["training"]["steps"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ema_decay": 0.5},
        {"ema_decay": 0.5, "keep": "best"},
        {"early_stop_epochs": 1, "lr": 1.0, "epochs": 9},
        {"early_stop_epochs": 1, "lr": 1.0, "epochs": 9, "ema_decay": 0.5, "keep": "best"},
    ],
    ids=["plain", "average", "best-average", "early-stop", "early-stop-average"],
)
def test_resuming_a_run_that_was_complete_changes_nothing(
    dataset: Dataset, tmp_path: Path, changes: dict[str, Any]
) -> None:
    loaded = demo_recipe(training=changes)
    complete = train(dataset, tmp_path, loaded)
    epochs = len(complete[0].splitlines()) - 1
    assert epochs < 9 and complete[2] == 2 * epochs
    (tmp_path / "run.json").unlink()  # as if killed before its last line
    assert train(dataset, tmp_path, loaded, resume=True) == complete


def test_a_run_that_is_complete_says_so_and_keeps_every_byte(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = demo_recipe()
    train(dataset, tmp_path / "run", loaded)
    before = tree(tmp_path / "run")
    capsys.readouterr()
    train(dataset, tmp_path / "run", loaded, resume=True)
    assert tree(tmp_path / "run") == before and len(before) > len(FILES)
    said = f"the run in {tmp_path / 'run'} is complete: there is nothing to train\n"
    assert capsys.readouterr().out == said


def test_a_folder_with_nothing_to_resume_is_said(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(dataset, tmp_path / "typo", demo_recipe(training={"epochs": 1}), resume=True)
    assert "typo has no checkpoint to resume from: a new run begins" in capsys.readouterr().out
    train(dataset, tmp_path / "fresh", demo_recipe(training={"epochs": 1}))
    assert "to resume from" not in capsys.readouterr().out


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of every file."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_the_seconds_of_all_legs_add_up_but_not_those_of_a_parent(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, loaded = tmp_path / "run", demo_recipe(training={"epochs": 2})
    with monkeypatch.context() as patch:
        patch.setattr(engine.Stopwatch, "state_dict", lambda _: {"seconds": 5_000.0})
        interrupt_at(patch, engine.SeedEpoch, "on_train_epoch_start", 1)
        with pytest.raises(KeyboardInterrupt):
            train(dataset, run, loaded)
    train(dataset, run, loaded, resume=True)
    assert 5_000.0 < seconds(run) < 9_000.0
    parent = open_parent(PAPER, str(run), None, ["--recipe.training.epochs=3"])
    start = Start(parent=str(run))
    fit(PAPER, parent.loaded, dataset, tmp_path / "more", CPU, start=start, parent=parent)
    assert 0.0 < seconds(tmp_path / "more") < 4_000.0


def seconds(run: Path) -> float:
    return float(json.loads((run / "run.json").read_text(encoding="utf-8"))["seconds"])


def interrupt_at(
    monkeypatch: pytest.MonkeyPatch, callback: type[Callback], hook: str, epoch: int
) -> None:
    """Press Ctrl-C when a callback's hook has run in an epoch."""
    plain = getattr(callback, hook)

    def pressed(self: Any, trainer: Any, *rest: Any) -> None:
        plain(self, trainer, *rest)
        if trainer.current_epoch == epoch:
            raise KeyboardInterrupt

    monkeypatch.setattr(callback, hook, pressed)


@pytest.mark.parametrize(
    ("callback", "hook", "epoch"),
    [
        (engine.SeedEpoch, "on_train_epoch_start", 0),
        (engine.Progress, "on_train_batch_end", 1),
        (MetricsFile, "on_train_epoch_end", 1),
        (Checkpoints, "on_train_epoch_end", 3),
    ],
    ids=["first-epoch", "inside-an-epoch", "before-the-checkpoint", "after-the-last-epoch"],
)
def test_a_run_that_was_interrupted_anywhere_ends_as_if_it_had_not(
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    callback: type[Callback],
    hook: str,
    epoch: int,
) -> None:
    changes = {"ema_decay": 0.5, "keep": "best", "plateau_factor": 0.5, "lr": 0.5}
    loaded = demo_recipe(model={"batch_norm": True}, training=changes)
    whole = train(dataset, tmp_path / "whole", loaded)
    with monkeypatch.context() as patch:
        interrupt_at(patch, callback, hook, epoch)
        with pytest.raises(KeyboardInterrupt):
            train(dataset, tmp_path / "parts", loaded)
    assert not (tmp_path / "parts" / "run.json").exists()
    assert train(dataset, tmp_path / "parts", loaded, resume=True) == whole


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_resumed_run_with_workers_draws_the_examples_of_its_epoch(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    plain = Training.configure_optimizers

    def asks(self: Training) -> Any:
        """As papers with a cosine schedule: Lightning then opens the data before the checkpoint."""
        assert self.trainer.estimated_stepping_batches == 8
        return plain(self)

    monkeypatch.setattr(Training, "configure_optimizers", asks)
    whole = train(dataset, tmp_path / "whole", demo_recipe())
    workers = Machine(device="cpu", workers=2)
    with monkeypatch.context() as patch:
        interrupt_at(patch, Checkpoints, "on_train_epoch_end", epoch)
        with pytest.raises(KeyboardInterrupt):
            train(dataset, tmp_path / "parts", demo_recipe(), machine=workers)
    assert train(dataset, tmp_path / "parts", demo_recipe(), True, workers) == whole


def test_a_run_is_resumed_with_its_own_recipe_data_and_seed_alone(
    dataset: Dataset, tmp_path: Path
) -> None:
    loaded = demo_recipe(training={"epochs": 1})
    complete = train(dataset, tmp_path / "run", loaded)
    songs = make_dataset(tmp_path / "songs", STEMS, (RATE, 2), seconds=1.1)
    with pytest.raises(ValueError, match=r"holds a run of another seed \(0, not 1\): resume it"):
        fit(PAPER, loaded, dataset, tmp_path / "run", CPU, seed=1, resume=True)
    with pytest.raises(ValueError, match="holds a run of another data set: resume it"):
        train(open_dataset(songs), tmp_path / "run", loaded, resume=True)
    other = demo_recipe(training={"epochs": 2}, data={"gain_range": (0.5, 1.0)})
    changes = r"data.gain_range \(0.5, 1.5\), not \(0.5, 1.0\), training.epochs 1, not 2"
    with pytest.raises(ValueError, match=rf"another recipe \({changes}\): resume it"):
        train(dataset, tmp_path / "run", other, resume=True)
    with pytest.raises(ValueError, match=r"another recipe \(.*\), another seed \(0, not 1\): res"):
        fit(PAPER, other, dataset, tmp_path / "run", CPU, seed=1, resume=True)
    assert train(dataset, tmp_path / "run", loaded, resume=True) == complete


def test_ctrl_c_works_again_after_an_interrupted_run(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    interrupt_at(monkeypatch, engine.Progress, "on_train_batch_end", 0)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, tmp_path, demo_recipe())
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_interrupted_run_leaves_no_half_written_file(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(monkeypatch, MetricsFile, "on_train_epoch_end", 1)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, tmp_path, demo_recipe())
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {*FILES, "tensorboard"}


def test_the_learning_rate_falls_on_a_plateau(dataset: Dataset, tmp_path: Path) -> None:
    changes = {"plateau_factor": 0.5, "plateau_patience": 0, "lr": 0.5, "epochs": 6}
    metrics, _, _ = train(dataset, tmp_path, demo_recipe(training=changes))
    rows = [line.split(",") for line in metrics.decode().splitlines()]
    rates = [float(row[rows[0].index("lr")]) for row in rows[1:]]
    losses = [float(row[rows[0].index("val/loss")]) for row in rows[1:]]
    expected, lowest = [0.5], float("inf")
    for loss in losses[:-1]:
        expected.append(expected[-1] if loss < lowest * (1 - 1e-4) else expected[-1] / 2)
        lowest = min(lowest, loss)
    assert rates == expected and rates[-1] < 0.5


def test_a_run_of_wrong_data_leaves_no_folder(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "songs", STEMS, (16_000, 2), seconds=0.5)
    with pytest.raises(ValueError, match="at 16000 Hz, the model takes 2 at 8000 Hz"):
        train(open_dataset(root), tmp_path / "out", demo_recipe())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("micro", [0, -1])
def test_a_micro_batch_below_one_is_refused(micro: int) -> None:
    import torch

    with pytest.raises(ValueError, match=f"can't be made of 1 device with {micro} examples? at"):
        accumulation(4, micro, 1, torch.nn.Linear(1, 1))


def test_a_tiny_clip_norm_bounds_the_step_of_plain_descent(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(
        Training,
        "configure_optimizers",
        lambda self: torch.optim.SGD(self.model.parameters(), lr=1.0),
    )
    loaded = demo_recipe(training={"clip_norm": 1e-3, "epochs": 1})
    torch.manual_seed(0)
    engine.pl.seed_everything(0, verbose=False)
    before = torch.cat([p.flatten() for p in PAPER.build_model(loaded.recipe).parameters()])
    train(dataset, tmp_path, loaded)
    from mss_shared.checkpoints.checkpoint import load_checkpoint

    model = load_checkpoint(PAPER, str(tmp_path)).model
    after = torch.cat([p.flatten() for p in model.parameters()])
    assert 0.0 < float((after - before).detach().norm()) <= 2 * 1e-3 + 1e-6  # two steps


def test_a_run_begun_under_the_old_names_of_keys_is_resumed(tmp_path: Path) -> None:
    recipe = demo_recipe().recipe
    earlier = without_added_keys(recipe).replace("_prob:", "_odds:")
    assert earlier_digest(recipe) == hashlib.sha256(earlier.encode()).hexdigest()
    folder = RunFolder(tmp_path, recipe, "the songs", 0)
    for digest in (recipe_digest(recipe), earlier_digest(recipe)):
        (tmp_path / "recipe.digest").write_text(f"{digest}\nthe songs\n0\n")
        folder.check(resume=True)
    (tmp_path / "recipe.digest").write_text("another\nthe songs\n0\n")
    with pytest.raises(ValueError, match="a run of another recipe: resume it"):
        folder.check(resume=True)
