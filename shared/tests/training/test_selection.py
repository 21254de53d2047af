"""Which epochs become the model: by the loss or by the SDR of songs, one of them or several."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from tiny_paper.paper import PAPER
from tiny_paper.training import Training
from tiny_songs import RATE, STEMS, demo_recipe, noise, write_track
from torch import Tensor, nn

from mss_shared.checkpoints.checkpoint import load_checkpoint
from mss_shared.datasets import Dataset, open_dataset
from mss_shared.metrics.sdr import usdr
from mss_shared.recipe import LoadedRecipe
from mss_shared.separation.overlap_add import separate
from mss_shared.testing import make_dataset
from mss_shared.training.callbacks import Checkpoints
from mss_shared.training.fit import Machine, fit

CPU = Machine("cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = make_dataset(tmp_path_factory.mktemp("songs"), STEMS, (RATE, 2), seconds=1.0)
    return open_dataset(root)


def train(
    dataset: Dataset, out: Path, loaded: LoadedRecipe[Any], machine: Machine = CPU, **options: Any
) -> list[dict[str, str]]:
    """Fit; returns the rows of metrics.csv."""
    fit(PAPER, loaded, dataset, out, machine, **options)
    with (out / "metrics.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def column(rows: list[dict[str, str]], name: str) -> list[float]:
    return [float(row[name]) for row in rows]


def weights(out: Path) -> dict[str, Tensor]:
    return safetensors.torch.load_file(out / "model.safetensors")


def state(checkpoint: Path) -> dict[str, Tensor]:
    loaded = torch.load(checkpoint, weights_only=True)["state_dict"]
    return {name.removeprefix("model."): tensor for name, tensor in loaded.items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def scripted(monkeypatch: pytest.MonkeyPatch, name: str, values: list[float]) -> None:
    """Let every validation log these values, one after another, instead of its own."""
    plain, left = Training.log, list(values)

    def log(self: Training, logged: str, value: Any, *rest: Any, **options: Any) -> None:
        plain(self, logged, left.pop(0) if logged == name else value, *rest, **options)

    monkeypatch.setattr(Training, "log", log)


# ---- SDR


@pytest.mark.parametrize("seconds", [0.0, 0.4, 9.0, 1e-9])
def test_the_sdr_of_an_epoch_is_that_of_its_weights_on_the_validation_songs(
    dataset: Dataset, tmp_path: Path, seconds: float
) -> None:
    loaded = demo_recipe(training={"val_sdr_seconds": seconds, "epochs": 1})
    [row] = train(dataset, tmp_path, loaded)
    model = load_checkpoint(PAPER, str(tmp_path)).model
    count = {0.4: round(0.4 * RATE), 1e-9: 1}.get(seconds, RATE)
    start = (RATE - count) // 2
    values = []
    for track in dataset.valid:
        mixture = torch.from_numpy(track.read_mixture(start, count))
        estimates = separate(model, mixture, loaded.recipe.inference)
        values.append(usdr(torch.from_numpy(track.read_stems(STEMS, start, count)), estimates))
    means = torch.stack(values).mean(dim=0)
    assert [float(row[f"val/sdr_{stem}"]) for stem in STEMS] == pytest.approx(means.tolist())
    assert float(row["val/sdr"]) == pytest.approx(float(means.mean()), abs=1e-4)


def test_a_silent_stem_of_a_song_does_not_count(tmp_path: Path) -> None:
    silent = np.zeros((2, RATE), np.float32)
    for place, vocals in (("train/a", noise(1)), ("valid/b", silent), ("valid/c", noise(3))):
        drums = noise(sum(place.encode()))
        write_track(tmp_path / "songs" / place, {"vocals": vocals, "drums": drums})
    loaded = demo_recipe(training={"val_sdr_seconds": 0.0, "epochs": 1})
    both = train(open_dataset(tmp_path / "songs"), tmp_path / "both", loaded)[0]
    assert -10.0 < float(both["val/sdr_vocals"]) < 10.0
    (tmp_path / "songs/valid/c").rename(tmp_path / "c")
    one = train(open_dataset(tmp_path / "songs"), tmp_path / "one", loaded)[0]
    assert "val/sdr_vocals" not in one and one["val/sdr"] == one["val/sdr_drums"]


def test_songs_that_are_silent_altogether_are_refused(tmp_path: Path) -> None:
    silent = np.zeros((2, RATE), np.float32)
    write_track(tmp_path / "songs/train/a", {"vocals": noise(1), "drums": noise(2)})
    write_track(tmp_path / "songs/valid/b", {"vocals": silent, "drums": silent})
    loaded = demo_recipe(training={"val_sdr_seconds": 0.0})
    with pytest.raises(ValueError, match="silent in all validation songs, where it is measured"):
        train(open_dataset(tmp_path / "songs"), tmp_path / "out", loaded)


def test_an_sdr_that_is_no_number_stops_the_run(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, "val/sdr", [float("nan")])
    loaded = demo_recipe(training={"val_sdr_seconds": 0.0})
    with pytest.raises(ValueError, match="validation SDR is nan after step 2, .*train-1"):
        train(dataset, tmp_path, loaded)
    assert not list(tmp_path.glob("*.ckpt"))


# ---- selection


@pytest.mark.parametrize(
    ("keep", "average", "chosen", "said"),
    [
        ("best", 1, [2], "kept epoch 2, the best: val/loss 1"),
        ("best_sdr", 1, [1], "kept epoch 1, the best: val/sdr 3"),
        ("best_sdr", 2, [1, 3], "kept the mean of epochs 1, 3, the best by val/sdr"),
        ("best", 9, [2, 1, 3, 0], "kept the mean of epochs 2, 1, 3, 0, the best by val/loss"),
        ("last", 1, [3], "kept epoch 3, the last"),
    ],
)
def test_the_model_is_the_mean_of_the_best_epochs(
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keep: str,
    average: int,
    chosen: list[int],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changes = {"keep": keep, "average_best": average, "val_sdr_seconds": 0.2}
    loaded = demo_recipe(model={"batch_norm": True}, training=changes)
    scripted(monkeypatch, "val/sdr", [-8.0, 3.0, -9.0, 2.0])
    plain, losses = Training.log_epoch, [4.0, 2.0, 1.0, 3.0]

    def log_epoch(self: Training, **options: Any) -> None:
        if not self.trainer.training:
            self._sums[False] = {"val/loss": (torch.tensor(losses.pop(0)), 1)}
        plain(self, **options)

    monkeypatch.setattr(Training, "log_epoch", log_epoch)
    train(dataset, tmp_path, loaded, Machine("cpu", save_top_k=9))
    states = [state(tmp_path / f"epoch-{epoch}.ckpt") for epoch in chosen]
    found = weights(tmp_path)
    assert found.keys() == states[0].keys() and "norm.num_batches_tracked" in found
    for name, value in found.items():
        if value.is_floating_point():
            mean = torch.stack([each[name] for each in states]).double().mean(dim=0)
            assert torch.allclose(value, mean.float(), rtol=1e-6, atol=1e-8)
        else:
            assert torch.equal(value, states[0][name])
    record = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert record["selection"] == {"keep": keep, "epochs": chosen}
    assert said in capsys.readouterr().out.splitlines()


def test_averaging_keeps_the_checkpoints_of_the_best_epochs_alone(
    dataset: Dataset, tmp_path: Path
) -> None:
    loaded = demo_recipe(training={"keep": "best", "average_best": 2})
    (tmp_path / "epoch-one.ckpt").write_text("not ours")
    rows = train(dataset, tmp_path, loaded)
    best = np.argsort(column(rows, "val/loss"), kind="stable")[:2]
    expected = {f"epoch-{epoch}.ckpt" for epoch in best} | {"epoch-one.ckpt"}
    assert {path.name for path in tmp_path.glob("epoch-*.ckpt")} == expected


CHANGES: dict[str, dict[str, Any]] = {
    "sdr": {"keep": "best_sdr", "val_sdr_seconds": 0.2, "monitor": "sdr"},
    "average": {"keep": "best", "average_best": 2, "ema_decay": 0.5},
    "seldom": {"keep": "best_sdr", "val_sdr_seconds": 0.0, "validate_every_epochs": 2},
    "stops": {
        "monitor": "sdr",
        "early_stop_epochs": 1,
        "val_sdr_seconds": 0.2,
        "lr": 1.0,
        "epochs": 9,
    },
}


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("name", CHANGES)
def test_a_run_that_was_killed_ends_as_if_it_had_not(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, first: bool
) -> None:
    loaded = demo_recipe(training={"plateau_factor": 0.5, "lr": 0.5} | CHANGES[name])
    machine = Machine("cpu", validate_first=first)
    train(dataset, tmp_path / "whole", loaded, machine)
    for epoch in (0, 1):
        with monkeypatch.context() as patch:
            interrupt(patch, epoch)
            with pytest.raises(KeyboardInterrupt):
                train(dataset, tmp_path / "parts", loaded, machine, resume=epoch > 0)
    train(dataset, tmp_path / "parts", loaded, machine, resume=True)
    metrics = [(tmp_path / run / "metrics.csv").read_bytes() for run in ("whole", "parts")]
    assert metrics[0] == metrics[1]
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    train(dataset, tmp_path / "parts", loaded, machine, resume=True)  # it was complete
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


def interrupt(patch: pytest.MonkeyPatch, epoch: int) -> None:
    plain = Checkpoints.on_train_epoch_end

    def pressed(self: Checkpoints, trainer: Any, module: Any) -> None:
        plain(self, trainer, module)
        if trainer.current_epoch == epoch:
            raise KeyboardInterrupt

    patch.setattr(Checkpoints, "on_train_epoch_end", pressed)


def test_a_run_of_another_selection_is_not_resumed(dataset: Dataset, tmp_path: Path) -> None:
    train(dataset, tmp_path, demo_recipe(training={"keep": "best"}))
    other = demo_recipe(training={"keep": "best_sdr", "val_sdr_seconds": 0.0})
    said = r"recipe \(training.keep best, not best_sdr, training.val_sdr_seconds None, not 0.0\)"
    with pytest.raises(ValueError, match=said):
        train(dataset, tmp_path, other, resume=True)


# ---- plateau and early stop


@pytest.mark.parametrize("every", [1, 2])
def test_plateau_and_early_stop_by_sdr_count_validations(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    changes = {
        "monitor": "sdr",
        "val_sdr_seconds": 0.2,
        "early_stop_epochs": 2,
        "plateau_factor": 0.5,
        "plateau_patience": 0,
        "validate_every_epochs": every,
        "epochs": 20,
        "lr": 1.0e-3,
    }
    # -5 to -4.9 is a gain; a relative threshold would take -5.0001 after -5 for one.
    scripted(monkeypatch, "val/sdr", [-5.0, -4.9, -4.91, -4.8, -4.80003, -4.9])
    rows = train(dataset, tmp_path, demo_recipe(training=changes))
    rates = column(rows, "lr")[every - 1 :: every]
    assert rates == [1e-3, 1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4] and len(rows) == 6 * every
    assert [row["val/loss"] != "" for row in rows] == [
        (epoch + 1) % every == 0 for epoch in range(len(rows))
    ]


# ---- before the first step


def test_a_validation_before_the_first_step_is_epoch_minus_one_and_changes_nothing(
    dataset: Dataset, tmp_path: Path
) -> None:
    loaded = demo_recipe(training={"val_sdr_seconds": 0.2, "ema_decay": 0.5})
    rows = train(dataset, tmp_path / "without", loaded)
    first, *others = train(dataset, tmp_path / "with", loaded, Machine("cpu", validate_first=True))
    assert others == rows and (first["epoch"], first["step"], first["train/loss"]) == (
        "-1",
        "0",
        "",
    )
    assert float(first["val/loss"]) > 0.0 and first["val/sdr"] != ""
    assert same(weights(tmp_path / "with"), weights(tmp_path / "without"))


def test_a_loss_that_is_no_number_before_the_first_step_says_so(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = PAPER.build_model

    def spoilt(recipe: Any) -> nn.Module:
        model: nn.Module = plain(recipe)
        nn.init.constant_(next(model.parameters()), float("nan"))
        return model

    monkeypatch.setattr(type(PAPER), "build_model", lambda self, recipe: spoilt(recipe))
    with pytest.raises(ValueError, match="validation loss is nan before the first step: lower"):
        train(dataset, tmp_path, demo_recipe(), Machine("cpu", validate_first=True))


# ---- values


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"keep": "best_sdr"}, "keep is best_sdr, monitor loss and val_sdr_seconds null"),
        ({"monitor": "sdr"}, "keep is last, monitor sdr and val_sdr_seconds null"),
        ({"keep": "first"}, "keep is 'first': choose from best, best_sdr, last"),
        ({"monitor": "nsdr"}, "monitor is 'nsdr': choose from loss, sdr"),
        ({"average_best": 0}, "average_best is 0: give at least 1"),
        ({"average_best": 5}, "average_best is 5 and keep last: set keep to best or best_sdr"),
        ({"validate_every_epochs": 0}, "validate_every_epochs is 0: give at least 1"),
        ({"validate_every_epochs": 5}, "validate_every_epochs is 5 and epochs 4: give at most"),
        ({"val_sdr_seconds": -1.0}, "val_sdr_seconds is -1.0: give a length of at most 86400 s"),
        ({"val_sdr_seconds": float("nan")}, "val_sdr_seconds is nan: give a length"),
        ({"val_sdr_seconds": float("inf")}, "val_sdr_seconds is inf: give a length"),
    ],
)
def test_a_selection_that_can_not_be_is_refused(
    dataset: Dataset, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        train(dataset, tmp_path / "out", demo_recipe(training=changes))
    assert not (tmp_path / "out").exists()
