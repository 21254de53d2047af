"""Runs that are killed within an epoch and go on with the next step."""

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from tiny_paper.paper import PAPER
from tiny_songs import RATE, STEMS, demo_recipe
from torch import Tensor

from mss_shared.datasets import Dataset, open_dataset
from mss_shared.recipe import LoadedRecipe
from mss_shared.testing import make_dataset
from mss_shared.training.callbacks import Checkpoints
from mss_shared.training.fit import Machine, fit
from mss_shared.training.steps import StepCheckpoints

ALWAYS = Machine("cpu", save_minutes=0.0)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = make_dataset(tmp_path_factory.mktemp("songs"), STEMS, (RATE, 2), seconds=1.0)
    return open_dataset(root)


def recipe(**changes: Any) -> LoadedRecipe[Any]:
    """Three epochs of five steps, with dropout, and a plateau at each epoch that is not better."""
    training = {"epochs": 3, "lr": 0.5, "plateau_factor": 0.5, **changes}
    return demo_recipe(
        model={"batch_norm": True}, data={"examples_per_epoch": 20}, training=training
    )


def train(
    dataset: Dataset, out: Path, loaded: LoadedRecipe[Any], machine: Machine, resume: bool = False
) -> tuple[bytes, dict[str, Tensor]]:
    fit(PAPER, loaded, dataset, out, machine, resume=resume)
    assert not (out / "step.ckpt").exists()
    weights = safetensors.torch.load_file(out / "model.safetensors")
    return (out / "metrics.csv").read_bytes(), weights


def same(one: tuple[bytes, dict[str, Tensor]], other: tuple[bytes, dict[str, Tensor]]) -> bool:
    equal = all(torch.equal(one[1][name], other[1][name]) for name in one[1])
    return one[0] == other[0] and one[1].keys() == other[1].keys() and equal


def kill_after(patch: pytest.MonkeyPatch, step: int) -> None:
    """Press Ctrl-C when a step (the first is 1) is complete and saved."""
    plain = StepCheckpoints.on_train_batch_end

    def pressed(self: StepCheckpoints, trainer: Any, *rest: Any) -> None:
        plain(self, trainer, *rest)
        if trainer.global_step == step:
            raise KeyboardInterrupt

    patch.setattr(StepCheckpoints, "on_train_batch_end", pressed)


MACHINES = {
    "alone": {},
    "workers": {"workers": 2},
    "accumulated": {"micro_batch": 2},
}


@pytest.mark.parametrize("name", MACHINES)
def test_a_run_killed_within_an_epoch_ends_as_if_it_had_not(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    loaded = recipe(ema_decay=0.5, keep="best")
    if name == "accumulated":
        loaded = demo_recipe(data={"examples_per_epoch": 20}, training={"epochs": 3})
    machine = Machine("cpu", save_minutes=0.0, **MACHINES[name])
    whole = train(dataset, tmp_path / "whole", loaded, Machine("cpu", **MACHINES[name]))
    for number, step in enumerate((2, 3, 9, 11)):
        with monkeypatch.context() as patch:
            kill_after(patch, step)
            with pytest.raises(KeyboardInterrupt):
                train(dataset, tmp_path / "parts", loaded, machine, resume=number > 0)
        saved = torch.load(tmp_path / "parts" / "step.ckpt", weights_only=True)
        assert saved["global_step"] == step
    assert same(train(dataset, tmp_path / "parts", loaded, machine, resume=True), whole)


def test_a_step_older_than_the_last_epoch_is_ignored(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(dataset, tmp_path / "whole", recipe(), Machine("cpu"))
    plain = Checkpoints.on_train_epoch_end

    def pressed(self: Checkpoints, trainer: Any, module: Any) -> None:
        plain(self, trainer, module)
        raise KeyboardInterrupt  # before the step is removed

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_train_epoch_end", pressed)
        with pytest.raises(KeyboardInterrupt):
            train(dataset, tmp_path / "parts", recipe(), ALWAYS)
    assert (tmp_path / "parts" / "step.ckpt").is_file()
    assert same(train(dataset, tmp_path / "parts", recipe(), Machine("cpu"), True), whole)


def test_a_step_of_another_split_of_the_batch_is_left_aside(
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    loaded = demo_recipe(data={"examples_per_epoch": 20}, training={"epochs": 2})
    with monkeypatch.context() as patch:
        kill_after(patch, 7)
        with pytest.raises(KeyboardInterrupt):
            train(dataset, tmp_path / "parts", loaded, ALWAYS)
    with pytest.raises(ValueError, match="already holds a run: continue it with --resume"):
        train(dataset, tmp_path / "parts", loaded, ALWAYS)
    split = Machine("cpu", micro_batch=2)
    found = train(dataset, tmp_path / "parts", loaded, split, resume=True)
    assert "of other --devices or another --micro_batch" in capsys.readouterr().out
    assert len(found[0].splitlines()) == 3


def test_a_run_killed_in_its_first_epoch_is_not_begun_anew_by_accident(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kill_after(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            train(dataset, tmp_path, recipe(), ALWAYS)
    with pytest.raises(ValueError, match="already holds a run: continue it with --resume"):
        train(dataset, tmp_path, recipe(), ALWAYS)


@pytest.mark.parametrize("minutes", [-1.0, float("nan"), float("inf")])
def test_minutes_that_can_not_be_are_refused(
    dataset: Dataset, tmp_path: Path, minutes: float
) -> None:
    with pytest.raises(ValueError, match=f"--save_minutes is {minutes}: give 0 or more"):
        train(dataset, tmp_path / "out", recipe(), Machine("cpu", save_minutes=minutes))
    assert not (tmp_path / "out").exists()
