"""Runs that start from weights, or go on from another run."""

import csv
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from tiny_paper.paper import PAPER
from tiny_paper.training import Training
from tiny_songs import RATE, STEMS, demo_recipe
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR

from mss_shared.cli import run
from mss_shared.datasets import Dataset, open_dataset
from mss_shared.recipe import LoadedRecipe
from mss_shared.testing import make_dataset
from mss_shared.training.begun import Start
from mss_shared.training.fit import Machine, fit
from mss_shared.training.heir import open_parent

CPU = Machine("cpu")


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("songs"), STEMS, (RATE, 2), seconds=1.0)


@pytest.fixture(scope="module")
def dataset(songs: Path) -> Dataset:
    return open_dataset(songs)


@pytest.fixture(scope="module")
def finished(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs."""
    out = tmp_path_factory.mktemp("finished") / "run"
    return fit(PAPER, demo_recipe(training={"epochs": 2}), dataset, out, CPU)


def start(
    dataset: Dataset, out: Path, loaded: LoadedRecipe[Any] | None = None, **asked: Any
) -> dict[str, Any]:
    """Fit one epoch from some start; returns run.json."""
    loaded = demo_recipe(training={"epochs": 1}) if loaded is None else loaded
    fit(PAPER, loaded, dataset, out, CPU, start=Start(**asked))
    return record(out)


def go_on(dataset: Dataset, out: Path, parent: Path, *words: str, **options: Any) -> dict[str, Any]:
    """Go on from a run; returns run.json."""
    epoch = options.pop("epoch", None)
    found = open_parent(PAPER, str(parent), epoch, [f"--recipe.{word}" for word in words])
    options = {"seed": found.seed, "start": Start(parent=str(parent), epoch=epoch), **options}
    fit(PAPER, found.loaded, dataset, out, CPU, parent=found, **options)
    return record(out)


def record(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "run.json").read_text(encoding="utf-8")))


def weights(out: Path) -> dict[str, Tensor]:
    return safetensors.torch.load_file(out / "model.safetensors")


def same(one: Path, other: Path) -> bool:
    """Whether two runs have the same metrics and weights to the bit."""
    a, b = weights(one), weights(other)
    equal = a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    return equal and (one / "metrics.csv").read_bytes() == (other / "metrics.csv").read_bytes()


def column(out: Path, name: str) -> list[float]:
    with (out / "metrics.csv").open(encoding="utf-8") as file:
        return [float(row[name]) for row in csv.DictReader(file)]


# ---- weights


@pytest.mark.parametrize("source", ["", "model.safetensors", "last.ckpt"])
def test_a_run_starts_from_the_weights_of_another(
    dataset: Dataset, finished: Path, tmp_path: Path, source: str
) -> None:
    still = demo_recipe(training={"epochs": 1, "lr": 0.0}, model={"dropout": 0.9})
    found = start(dataset, tmp_path, still, init=str(finished / source))
    assert all(torch.equal(value, weights(finished)[k]) for k, value in weights(tmp_path).items())
    training = found["training"]
    assert found["verbatim"] is False and training["steps"] == 2
    assert training["start"]["from"]["dataset"] == training["dataset"] == dataset.name
    assert training["start"]["weights_digest"] == found["weights_digest"]
    assert training["tracks"] == [track.name for track in dataset.train]


def test_a_checkpoint_with_the_state_of_a_loss_gives_the_models_weights(
    dataset: Dataset, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Training.__init__

    def init(self: Training, *arguments: Any) -> None:
        plain(self, *arguments)
        self.register_buffer("window", torch.ones(3))

    monkeypatch.setattr(Training, "__init__", init)
    start(dataset, tmp_path / "first")
    start(dataset, tmp_path / "second", init=str(tmp_path / "first" / "last.ckpt"))
    assert record(tmp_path / "second")["training"]["tracks"]


def test_the_songs_that_weights_have_heard_are_inherited(
    dataset: Dataset, finished: Path, tmp_path: Path
) -> None:
    root = make_dataset(tmp_path / "more", STEMS, (RATE, 2), seconds=1.1)
    (root / "train" / "train-1").rename(root / "train" / "zebra")
    other = open_dataset(root)
    training = start(other, tmp_path / "out", init=str(finished))["training"]
    names = {track.name for track in (*dataset.train, *other.train)}
    assert set(training["tracks"]) == names and "zebra" in names
    assert training["dataset"] is None and training["fingerprint"] is None
    own = record(finished)["training"]
    assert own["content"].keys() <= training["content"].keys()
    for name, digests in own["content"].items():
        assert set(digests) <= set(training["content"][name])
    again = start(dataset, tmp_path / "again", init=str(tmp_path / "out"))["training"]
    assert set(again["tracks"]) == names


def test_what_weights_of_unknown_training_have_heard_is_unknown(
    dataset: Dataset, finished: Path, tmp_path: Path
) -> None:
    torch.save(weights(finished), tmp_path / "theirs.pth")
    training = start(dataset, tmp_path / "out", init=str(tmp_path / "theirs.pth"))["training"]
    for name in ("tracks", "validation", "content", "validation_content"):
        assert training[name] is None
    assert training["start"]["from"] is None
    assert training["start"]["own_tracks"] == [track.name for track in dataset.train]


def test_weights_of_another_model_are_refused_unless_a_part_is_asked_for(
    dataset: Dataset, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = demo_recipe(model={"stems": ("drums",)}, training={"epochs": 1, "lr": 0.0})
    with pytest.raises(ValueError, match=r"mask.weight of shape .* belongs to another recipe"):
        start(dataset, tmp_path / "out", one, init=str(finished))
    assert not (tmp_path / "out").exists()
    found = start(dataset, tmp_path / "out", one, init=str(finished), init_partial=True)
    said = found["training"]["start"]
    assert said["left_out"] == said["fresh"] == ["mask.bias", "mask.weight"]
    assert "2 of the model's 4 weights" in capsys.readouterr().out
    assert torch.equal(
        weights(tmp_path / "out")["encode.weight"], weights(finished)["encode.weight"]
    )


def test_weights_with_nothing_in_common_are_refused(
    dataset: Dataset, finished: Path, tmp_path: Path
) -> None:
    wide = demo_recipe(model={"width": 6, "stems": ("drums",)})
    with pytest.raises(ValueError, match="none of the 4 weights of .* has name and shape"):
        start(dataset, tmp_path / "out", wide, init=str(finished), init_partial=True)
    with pytest.raises(FileNotFoundError, match="no weights nothing: give --init a run folder"):
        start(dataset, tmp_path / "out", init="nothing")
    (tmp_path / "begun").mkdir()
    with pytest.raises(FileNotFoundError, match="begun holds no model.safetensors"):
        start(dataset, tmp_path / "out", init=str(tmp_path / "begun"))
    assert not (tmp_path / "out").exists()


# ---- frozen weights


@pytest.mark.parametrize("pattern", ["encode", "enc*", "encode.weight"])
def test_frozen_weights_stay_as_they_are(
    dataset: Dataset, finished: Path, tmp_path: Path, pattern: str
) -> None:
    found = start(dataset, tmp_path, init=str(finished), freeze=(pattern,))
    for name, value in weights(tmp_path).items():
        frozen = name == "encode.weight" or (pattern != "encode.weight" and "encode" in name)
        assert torch.equal(value, weights(finished)[name]) == frozen, name
    assert found["training"]["start"]["freeze"] == [pattern] and found["verbatim"] is False


def test_statistics_of_frozen_batch_norms_stay_as_they_are(
    dataset: Dataset, tmp_path: Path
) -> None:
    loaded = demo_recipe(model={"batch_norm": True}, training={"epochs": 2})
    first = start(dataset, tmp_path / "first", loaded, freeze=("norm",))
    found = weights(tmp_path / "first")
    assert torch.equal(found["norm.running_mean"], torch.zeros(4))
    assert first["training"]["tracks"] == [track.name for track in dataset.train]
    start(dataset, tmp_path / "second", loaded, freeze=("mask",))
    assert weights(tmp_path / "second")["norm.running_mean"].any()


def test_a_pattern_without_a_weight_or_with_all_is_refused(
    dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="--freeze decode fits no weight: names begin with encode"):
        start(dataset, tmp_path / "out", freeze=("decode",))
    with pytest.raises(ValueError, match="--freeze bias fits no weight: .* like encode.bias"):
        start(dataset, tmp_path / "out", freeze=("bias",))
    with pytest.raises(ValueError, match=r"--freeze \* leaves nothing to train: freeze less"):
        start(dataset, tmp_path / "out", freeze=("*",))
    assert not (tmp_path / "out").exists()


def test_a_run_is_resumed_with_the_start_it_had(
    dataset: Dataset, finished: Path, tmp_path: Path
) -> None:
    loaded = demo_recipe(training={"epochs": 1})
    start(dataset, tmp_path, init=str(finished), freeze=("mask",))
    with pytest.raises(ValueError, match=r"another start \(--init .*run --freeze .*, not fresh"):
        fit(PAPER, loaded, dataset, tmp_path, CPU, resume=True)
    asked = Start(init=str(finished), freeze=("mask",))
    before = record(tmp_path)
    fit(PAPER, loaded, dataset, tmp_path, CPU, resume=True, start=asked)
    assert record(tmp_path)["training"] == before["training"]
    assert record(tmp_path)["weights_digest"] == before["weights_digest"]


# ---- going on


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"keep": "best", "lr": 0.5},
        {"keep": "best", "average_best": 3, "ema_decay": 0.5},
        {"keep": "best_sdr", "val_sdr_seconds": 0.5, "early_stop_epochs": 3},
    ],
    ids=["last", "best", "average", "sdr"],
)
def test_a_run_that_goes_on_equals_one_that_was_longer(
    dataset: Dataset, tmp_path: Path, changes: dict[str, Any]
) -> None:
    for name, epochs in (("short", 2), ("long", 4)):
        loaded = demo_recipe(training={**changes, "epochs": epochs})
        fit(PAPER, loaded, dataset, tmp_path / name, CPU)
    found = go_on(dataset, tmp_path / "on", tmp_path / "short", "training.epochs=4")
    assert same(tmp_path / "on", tmp_path / "long")
    assert found["selection"] == record(tmp_path / "long")["selection"]
    assert found["verbatim"] is False and found["training"]["steps"] == 8
    told = found["training"]["start"]
    assert (told["epoch"], told["changed"]) == (1, "training.epochs 2, not 4")
    go_on(dataset, tmp_path / "on", tmp_path / "short", "training.epochs=4", resume=True)
    assert same(tmp_path / "on", tmp_path / "long")


def test_a_run_goes_on_from_an_earlier_epoch_that_was_kept(
    dataset: Dataset, tmp_path: Path
) -> None:
    loaded = demo_recipe(training={"keep": "best"})
    whole = fit(PAPER, loaded, dataset, tmp_path / "w", Machine("cpu", save_top_k=4))
    for epoch in (0, 2):
        go_on(dataset, tmp_path / f"from-{epoch}", whole, epoch=epoch)
        assert same(tmp_path / f"from-{epoch}", whole)
    (whole / "epoch-1.ckpt").unlink()
    with pytest.raises(FileNotFoundError, match="of epoch 1: choose --epoch from 0, 2, 3"):
        open_parent(PAPER, str(whole), 1, [])


def test_the_best_epoch_of_the_parent_competes_only_if_it_is_there(
    dataset: Dataset, tmp_path: Path
) -> None:
    loaded = demo_recipe(training={"keep": "best", "epochs": 2, "lr": 0.0})
    parent = fit(PAPER, loaded, dataset, tmp_path / "parent", CPU)
    assert record(parent)["selection"]["epochs"] == [0]
    (parent / "best.ckpt").unlink()
    found = go_on(dataset, tmp_path / "on", parent, "training.epochs=3")
    assert found["selection"]["epochs"] == [1]  # the one it went on from


def test_another_criterion_begins_anew(dataset: Dataset, tmp_path: Path) -> None:
    loaded = demo_recipe(training={"keep": "best", "epochs": 2, "early_stop_epochs": 1, "lr": 0.0})
    parent = fit(PAPER, loaded, dataset, tmp_path / "parent", CPU)
    words = ("keep=best_sdr", "monitor=sdr", "val_sdr_seconds=0.0", "epochs=3")
    found = go_on(dataset, tmp_path / "on", parent, *(f"training.{word}" for word in words))
    assert found["selection"] == {"keep": "best_sdr", "epochs": [2]}


def test_another_learning_rate_and_patience_are_the_new_runs(
    dataset: Dataset, tmp_path: Path
) -> None:
    changes = {"plateau_patience": 9, "lr": 1e-3, "epochs": 2}
    parent = fit(PAPER, demo_recipe(training=changes), dataset, tmp_path / "parent", CPU)
    words = ("lr=0.5", "plateau_patience=0", "plateau_factor=0.1", "epochs=6")
    go_on(dataset, tmp_path / "on", parent, *(f"training.{word}" for word in words))
    rates = column(tmp_path / "on", "lr")
    assert rates[:3] == [1e-3, 1e-3, 0.5] and rates[-1] <= 0.05


def test_a_longer_cosine_goes_on_at_its_place(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cosine(self: Training) -> Any:
        optimizer = torch.optim.Adam(self.model.parameters(), lr=self.config.lr)
        steps = int(self.trainer.estimated_stepping_batches)
        return [optimizer], [{"scheduler": CosineAnnealingLR(optimizer, steps), "interval": "step"}]

    monkeypatch.setattr(Training, "configure_optimizers", cosine)
    loaded = demo_recipe(training={"epochs": 2, "lr": 1e-2})
    parent = fit(PAPER, loaded, dataset, tmp_path / "parent", CPU)
    assert column(parent, "lr")[-1] == pytest.approx(0.0, abs=1e-9)
    go_on(dataset, tmp_path / "on", parent, "training.epochs=4")
    expected = [1e-2 * (1 + math.cos(math.pi * step / 8)) / 2 for step in (6, 8)]
    assert column(tmp_path / "on", "lr")[2:] == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "finished 2 epochs there and training.epochs is 2: give more"),
        (("training.epochs=1",), "finished 2 epochs there and training.epochs is 1"),
        (("model.width=8", "training.epochs=4"), "can't change model.width: begin .* with --init"),
        (("training.ema_decay=0.9", "training.epochs=4"), "can't change training.ema_decay"),
    ],
)
def test_a_run_that_can_not_go_on_says_why(
    finished: Path, words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        open_parent(PAPER, str(finished), None, [f"--recipe.{word}" for word in words])


def test_a_run_that_had_stopped_early_needs_more_patience(dataset: Dataset, tmp_path: Path) -> None:
    loaded = demo_recipe(training={"early_stop_epochs": 1, "lr": 0.0, "epochs": 9})
    parent = fit(PAPER, loaded, dataset, tmp_path / "parent", CPU)
    with pytest.raises(ValueError, match="had stopped early, after 1 validations without gain"):
        open_parent(PAPER, str(parent), None, [])
    go_on(dataset, tmp_path / "on", parent, "training.early_stop_epochs=3")
    assert len(column(tmp_path / "on", "lr")) == 4


@pytest.mark.parametrize("record", ["", "a\nb\n", "a\nb\n-1\n", "a\nb\n" + 5_000 * "9"])
def test_no_run_goes_on_from_one_whose_record_is_damaged(
    finished: Path, tmp_path: Path, record: str
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "recipe.digest").write_text(record)
    with pytest.raises(ValueError, match=r"run/recipe\.digest is damaged, it has no seed: restore"):
        open_parent(PAPER, str(tmp_path / "run"), None, ["--recipe.training.epochs=2"])


def test_no_run_goes_on_from_one_that_is_none(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is no run folder: give --continue one"):
        open_parent(PAPER, str(tmp_path), None, [])
    machine = Machine("cpu", dev_mode=True)
    fit(PAPER, demo_recipe(), dataset, tmp_path / "dev", machine)
    with pytest.raises(ValueError, match="is a --dev_mode run: train one without it"):
        open_parent(PAPER, str(tmp_path / "dev"), None, [])


# ---- the command


def test_the_command_goes_on_beside_the_run(
    songs: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.parent)
    words = ["--data_root", str(songs), "--device", "cpu", "--recipe.training.epochs", "3"]
    run(PAPER, ["fit", "--continue", "run", *words])
    assert record(finished.parent / "run-continued")["recipe"] == "demo"
    assert len(column(finished.parent / "run-continued", "lr")) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--recipe", "demo", "--init_partial"], "--init_partial needs weights"),
        (["--recipe", "demo", "--epoch", "0"], "--epoch is one of another run"),
        (["--continue", "x", "--freeze", "mask"], "to which --init and --freeze do not apply"),
        (["--continue", "x", "--recipe", "demo"], "not allowed with argument"),
        (["--continue", "x", "--dev_mode"], "--dev_mode trains the first step of a run: leave"),
        (["--continue", "x", "--plan"], "--plan computes what a recipe costs: give --recipe"),
        ([], "one of the arguments --recipe --continue is required"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(
    songs: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(PAPER, ["fit", "--data_root", str(songs), *words])
    assert ended.value.code == 2 and said in capsys.readouterr().err


def test_one_track_is_learnt_and_heard_alone(songs: Path, tmp_path: Path) -> None:
    words = ["fit", "--recipe", "demo", "--data_root", str(songs), "--device", "cpu"]
    words += ["--recipe.training.epochs", "1"]
    run(PAPER, [*words, "--out", str(tmp_path / "first"), "--overfit"])
    run(PAPER, [*words, "--out", str(tmp_path / "named"), "--overfit", "train-2"])
    for name, track in (("first", "train-1"), ("named", "train-2")):
        found = record(tmp_path / name)
        assert found["training"]["tracks"] == found["training"]["validation"] == [track]
        assert found["verbatim"] is False


def test_a_track_that_is_not_there_can_not_be_learnt(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", "--recipe", "demo", "--data_root", str(songs), "--out", str(tmp_path / "o")]
    with pytest.raises(SystemExit):
        run(PAPER, [*words, "--overfit", "train-9"])
    said = "no training track train-9: choose --overfit from train-1, train-2"
    assert said in capsys.readouterr().err and not (tmp_path / "o").exists()
