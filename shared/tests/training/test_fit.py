import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from tiny_paper.paper import PAPER
from tiny_paper.training import Training
from tiny_places import TESTS
from tiny_songs import RATE, STEMS, demo_recipe, noise, write_track

from mss_shared import audio
from mss_shared.checkpoints.checkpoint import load_checkpoint
from mss_shared.cli import run
from mss_shared.datasets import Dataset, open_dataset
from mss_shared.datasets.content import describe_content
from mss_shared.recipe import LoadedRecipe
from mss_shared.testing import check_package, make_dataset
from mss_shared.training import fit as engine
from mss_shared.training.callbacks import Checkpoints
from mss_shared.training.fit import Machine, fit
from mss_shared.training.songs import check_dataset
from mss_shared.training.trainer import MovingAverage, accumulation

CPU = Machine(device="cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = make_dataset(tmp_path_factory.mktemp("songs"), STEMS, (RATE, 2), seconds=1.0)
    return open_dataset(root)


def train(
    dataset: Dataset, out: Path, loaded: LoadedRecipe[Any] | None = None, **options: Any
) -> tuple[bytes, str]:
    """Fit; returns metrics.csv and the digest of the weights."""
    machine = options.pop("machine", CPU)
    fit(PAPER, loaded or demo_recipe(), dataset, out, machine, **options)
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    return (out / "metrics.csv").read_bytes(), record["weights_digest"]


def test_the_tiny_paper_keeps_the_promises_of_all_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS / "tiny"))
    check_package(PAPER, tmp_path)


def test_one_seed_writes_the_same_bytes_whatever_the_workers(
    dataset: Dataset, tmp_path: Path
) -> None:
    first = train(dataset, tmp_path / "a")
    assert train(dataset, tmp_path / "b") == first
    workers = Machine(device="cpu", workers=2)
    assert train(dataset, tmp_path / "c", machine=workers) == first
    assert train(dataset, tmp_path / "d", seed=1) != first
    assert len(first[0].splitlines()) == 5


class StopsAfter(Exception):
    """Stands for a machine that goes down."""


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"plateau_factor": 0.5, "plateau_patience": 0, "lr": 0.5},
        {"ema_decay": 0.9, "keep": "best"},
        {"early_stop_epochs": 1, "keep": "best", "lr": 1.0},
    ],
    ids=["dropout", "plateau", "average", "early-stop"],
)
@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_a_resumed_run_equals_one_that_never_stopped(
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    epoch: int,
) -> None:
    loaded = demo_recipe(training=changes)
    whole = train(dataset, tmp_path / "whole", loaded)

    saved = Checkpoints.on_train_epoch_end

    def fails(self: Checkpoints, trainer: Any, pl_module: Any) -> None:
        saved(self, trainer, pl_module)
        if trainer.current_epoch == epoch:
            raise StopsAfter

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_train_epoch_end", fails)
        try:
            train(dataset, tmp_path / "parts", loaded)
        except StopsAfter:
            pass
    assert train(dataset, tmp_path / "parts", loaded, resume=True) == whole


def test_a_run_that_stops_early_has_fewer_epochs_and_keeps_the_best(
    dataset: Dataset, tmp_path: Path
) -> None:
    loaded = demo_recipe(training={"early_stop_epochs": 1, "keep": "best", "lr": 2.0, "epochs": 30})
    metrics, _ = train(dataset, tmp_path, loaded)
    rows = [line.split(",") for line in metrics.decode().splitlines()]
    losses = [float(row[rows[0].index("val/loss")]) for row in rows[1:]]
    assert len(losses) < 30 and losses[-1] >= min(losses)
    model = load_checkpoint(PAPER, str(tmp_path)).model
    found = validation_loss(model, loaded, dataset)
    assert found == pytest.approx(min(losses), rel=1e-5)
    assert found != pytest.approx(losses[-1], rel=1e-5)


def validation_loss(model: Any, loaded: LoadedRecipe[Any], dataset: Dataset) -> float:
    """The mean validation loss of a model, by the paper's own loss."""
    from mss_shared.training.random_mixes import ConsecutiveChunks

    chunks = ConsecutiveChunks(dataset.valid, loaded.recipe.data, model.stems)
    module = Training(model, loaded.recipe.training)
    seen: list[float] = []
    module.log_mean = lambda name, value, examples: seen.append(float(value))  # type: ignore[method-assign]
    for number in range(len(chunks)):
        batch = {key: value[None] for key, value in chunks[number].items()}
        with torch.no_grad():
            module.validation_step(batch, number)
    return sum(seen) / len(seen)


def test_a_clipped_gradient_moves_the_weights_otherwise(dataset: Dataset, tmp_path: Path) -> None:
    plain = train(dataset, tmp_path / "plain")
    clipped = train(dataset, tmp_path / "clipped", demo_recipe(training={"clip_norm": 1e-9}))
    assert plain[1] != clipped[1]


def test_passes_of_one_example_make_the_step_of_the_whole_batch(
    dataset: Dataset, tmp_path: Path
) -> None:
    loaded = demo_recipe(model={"dropout": 0.0})
    train(dataset, tmp_path / "whole", loaded)
    train(dataset, tmp_path / "parts", loaded, machine=Machine(device="cpu", micro_batch=1))
    whole, parts = (load_checkpoint(PAPER, str(tmp_path / p)).model for p in ("whole", "parts"))
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_batch_norm_refuses_a_split_batch() -> None:
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(2))
    assert accumulation(4, None, 1, model) == 1
    with pytest.raises(ValueError, match="batch norm and 2 examples at a time .* of 4"):
        accumulation(4, 2, 1, model)
    with pytest.raises(ValueError, match="batch norm and 2 examples"):
        accumulation(4, None, 2, model)


@pytest.mark.parametrize("micro, world", [(3, 1), (4, 2), (8, 1), (1, 3)])
def test_parts_that_do_not_make_the_batch_are_refused(micro: int, world: int) -> None:
    with pytest.raises(ValueError, match=f"batch of 4 can't be made of {world} device"):
        accumulation(4, micro, world, torch.nn.Linear(1, 1))


def test_an_epoch_must_be_whole_batches(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="examples_per_epoch is 6 and batch 4"):
        train(dataset, tmp_path, demo_recipe(data={"examples_per_epoch": 6}))


@pytest.mark.parametrize(
    ("song", "copy", "said"),
    [
        ("train/train-1", "test/renamed", "training track train-1 is also a test track of"),
        ("train/train-1", "valid/train-1", "training track train-1 is also a validation track of"),
        ("valid/held", "test/renamed", "validation track held is also a test track of"),
    ],
)
def test_a_song_in_two_splits_is_refused(song: str, copy: str, said: str, tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "songs", STEMS, (RATE, 2), seconds=0.5)
    write_track(root / "valid" / "held", {stem: noise(n) for n, stem in enumerate(STEMS)})
    (root / copy).mkdir()
    for path in (root / song).iterdir():
        (root / copy / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match=said):
        train(open_dataset(root), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_songs_that_share_a_title_are_several_songs(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "songs", STEMS, (RATE, 2), seconds=0.5)
    for number, split in enumerate(("train", "valid", "test")):
        signals = {stem: noise(10 * number + n) for n, stem in enumerate(STEMS)}
        write_track(root / split / "Intro", signals)
    train(open_dataset(root), tmp_path / "out", machine=Machine("cpu", dev_mode=True))


def test_a_missing_stem_and_another_rate_are_refused(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "songs", STEMS, (RATE, 2), seconds=0.5)
    wanted = demo_recipe(data={"stems": (*STEMS, "bass")})
    with pytest.raises(ValueError, match=r"track train-1 has no bass\.wav"):
        train(open_dataset(root), tmp_path / "out", wanted)
    other = make_dataset(tmp_path / "other", STEMS, (16_000, 1), seconds=0.5)
    with pytest.raises(ValueError, match="1 channels at 16000 Hz, the model takes 2 at 8000 Hz"):
        train(open_dataset(other), tmp_path / "out")


def test_a_folder_with_a_run_is_left_alone(dataset: Dataset, tmp_path: Path) -> None:
    train(dataset, tmp_path)
    with pytest.raises(ValueError, match="already holds a run: continue it with --resume"):
        train(dataset, tmp_path)
    with pytest.raises(ValueError, match=r"another recipe \(training.lr 0.005, not 0.0001\)"):
        train(dataset, tmp_path, demo_recipe(training={"lr": 1e-4}), resume=True)


def test_a_loss_that_is_no_number_stops_the_run(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Training.training_step
    monkeypatch.setattr(
        Training, "training_step", lambda self, batch, n: step(self, batch, n) * float("nan")
    )
    said = "training loss is nan at step 1, whose examples are from train-1, train-2: lower the"
    with pytest.raises(ValueError, match=said):
        train(dataset, tmp_path)


def test_an_interrupt_reaches_the_caller(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupts(Callback):
        def __init__(self, *_: Any, **__: Any) -> None:
            super().__init__()

        def on_train_batch_end(self, *_: Any) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(engine, "MetricsFile", Interrupts)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, tmp_path)


def test_the_record_says_what_made_the_weights(dataset: Dataset, tmp_path: Path) -> None:
    fit(PAPER, demo_recipe(), dataset, tmp_path, CPU, seed=5, command="tiny fit")
    record = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert record["training"] == {
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "tracks": ["train-1", "train-2"],
        "validation": ["train-0"],
        "content": describe_content(dataset.train),
        "validation_content": describe_content(dataset.valid),
        "steps": 8,
        "seed": 5,
    }
    origin = load_checkpoint(PAPER, str(tmp_path)).origin
    names = ("commit", "versions", "command", "machine", "threads")
    assert origin == {name: record[name] for name in names}
    assert record["verbatim"] is True and record["command"] == "tiny fit"
    assert record["leaf_sources"]["paper"] == 2
    assert (tmp_path / "recipe.yaml").read_text() == demo_recipe().text
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_a_run_in_dev_mode_is_one_step_and_not_verbatim(dataset: Dataset, tmp_path: Path) -> None:
    train(dataset, tmp_path, machine=Machine(device="cpu", dev_mode=True))
    record = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert record["training"]["steps"] == 1 and record["verbatim"] is False
    assert load_checkpoint(PAPER, str(tmp_path)).verbatim is False


def test_no_run_goes_on_from_one_in_dev_mode(dataset: Dataset, tmp_path: Path) -> None:
    train(dataset, tmp_path, machine=Machine(device="cpu", dev_mode=True))
    with pytest.raises(ValueError, match="another kind .one is a --dev_mode run"):
        train(dataset, tmp_path, resume=True)
    assert load_checkpoint(PAPER, str(tmp_path)).verbatim is False


def record(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "run.json").read_text(encoding="utf-8")))


def run_words(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr("sys.argv", ["tiny-paper", *words])
    run(PAPER)


def test_several_roots_are_trained_on_and_recorded_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = []
    for n, name in enumerate(("one", "two")):
        for m, place in enumerate(("train/Intro", "train/b", "valid/v")):
            signals = {s: noise(100 * n + 10 * m + k) for k, s in enumerate(STEMS)}
            write_track(tmp_path / name / place, signals)
        roots.append(str(tmp_path / name))
    out = tmp_path / "out"
    common = ("--recipe", "demo", "--device", "cpu", "--dev_mode", "--out", str(out))
    run_words(monkeypatch, "fit", *common, "--data_root", roots[0], "--data_root", roots[1])
    training = record(out)["training"]
    assert training["dataset"] == "one+two" and "reading" not in training
    assert [(r["dataset"], r["tracks"], r["validation"]) for r in training["roots"]] == [
        ("one", ["Intro", "b"], ["v"]),
        ("two", ["Intro", "b"], ["v"]),
    ]


def test_odd_files_are_trained_on_by_flags_which_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_dataset(tmp_path / "songs", STEMS, (RATE, 2), seconds=0.5)
    (root / "train" / "train-0" / "drums.wav").unlink()
    write_track(root / "train" / "mono", {s: noise(n, 1) for n, s in enumerate(STEMS)}, 12_000)
    write_track(
        root / "train" / "cut", {s: noise(n + 9, 2, 5_000 + n) for n, s in enumerate(STEMS)}
    )
    out = tmp_path / "out"
    flags = ("--silence_missing", "--trim", "--convert_channels", "--resample")
    common = ("--recipe", "demo", "--device", "cpu", "--dev_mode", "--out", str(out))
    run_words(monkeypatch, "fit", *common, "--data_root", str(root), *flags)
    assert record(out)["training"]["reading"] == {
        "silence_missing": ["train-0"],
        "trim": ["cut"],
        "convert_channels": ["mono"],
        "resample": ["mono"],
    }


def test_a_stem_of_a_recipe_may_be_a_sum(tmp_path: Path) -> None:
    for place in ("train/a", "train/b", "valid/v"):
        signals = {
            s: noise(10 * len(place) + ord(place[-1]) * 100 + n)
            for n, s in enumerate(("vocals", "kick", "snare"))
        }
        write_track(tmp_path / "songs" / place, signals)
    loaded = demo_recipe(data={"stems": ("vocals", "drums = kick + snare")})
    train(open_dataset(tmp_path / "songs"), tmp_path / "out", loaded)
    assert "drums = kick + snare" in (tmp_path / "out" / "recipe.yaml").read_text()


def test_a_stem_without_sound_in_any_training_track_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_dataset(tmp_path / "songs", STEMS, (RATE, 2), seconds=0.5)
    model = SimpleNamespace(sample_rate=RATE, channels=2)
    check_dataset(open_dataset(root), STEMS, model)
    assert "silent" not in capsys.readouterr().err
    tracks = [*(root / "train").iterdir()]
    for track in tracks:
        audio.write(track / f"{STEMS[1]}.wav", np.zeros((2, RATE // 2), np.float32), RATE)
    check_dataset(open_dataset(root), STEMS, model)
    said = capsys.readouterr().err
    assert f"warning: {STEMS[1]} is silent in all of 2 training tracks" in said


def test_songs_of_two_roots_that_sound_alike_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = make_dataset(tmp_path / "one", STEMS, (RATE, 2), seconds=0.5)
    (two := tmp_path / "two" / "train").mkdir(parents=True)
    shutil.copytree(one / "train" / "train-1", two / "train-1")
    shutil.copytree(one / "train" / "train-2", two / "renamed")
    write_track(two / "a", {s: noise(n, 2, RATE // 2) for n, s in enumerate(STEMS)})  # validates
    common = ("--recipe", "demo", "--device", "cpu", "--dev_mode", "--out", str(tmp_path / "out"))
    run_words(monkeypatch, "fit", *common, "--data_root", str(one), str(two.parent))
    [line] = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert "2 of 4 training tracks are songs that are there already, by their sound" in line
    for copy, song in {"renamed": "train-2", "train-1": "train-1"}.items():
        assert f"{copy} of {two.parent} is {song} of {one}" in line
    run_words(monkeypatch, "fit", *common[:-1], f"{tmp_path}/alone", "--data_root", str(one))
    assert "warning" not in capsys.readouterr().err


def test_a_deterministic_run_leaves_the_process_as_it_was(dataset: Dataset, tmp_path: Path) -> None:
    machine = Machine(device="cpu", dev_mode=True, deterministic=True)
    train(dataset, tmp_path / "run", machine=machine)
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_moving_average_is_kept_on_the_device_that_trains() -> None:
    module = PAPER.build_training(PAPER.build_model(demo_recipe().recipe), demo_recipe().recipe)
    place = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("meta")))
    average: Any = MovingAverage(0.9)
    average.setup(place, module, "fit")
    assert {weight.device.type for weight in average._average_model.parameters()} == {"meta"}
    assert average.state_key == "EMAWeightAveraging"  # as in checkpoints of earlier runs
