"""Losses, one training step and the data against the authors'; schedule, stopping, precision."""

import dataclasses
import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lasaft.data import ConditionedMixes, PaddedChunks, windows_per_epoch
from lasaft.model import Separator
from lasaft.paper import PAPER
from lasaft.recipe import Recipe
from lasaft.training import Training
from mss_shared.datasets import Dataset, open_dataset
from mss_shared.recipe import LoadedRecipe, find_recipe, load_recipe
from mss_shared.testing import make_dataset
from mss_shared.training.fit import Machine, fit
from mss_shared.training.random_mixes import default_examples

STEPS = [
    f"train_CUNET_TFC_{tail}_small" for tail in ("GPoCM_LaSAFT", "FiLM_TDF", "GPoCM_LightSAFT")
]
STEMS = ("vocals", "drums", "bass", "other")


@functools.cache
def shipped(name: str) -> LoadedRecipe[Recipe]:
    return load_recipe(Recipe, find_recipe("lasaft", name))


def demo(**sections: dict[str, Any]) -> LoadedRecipe[Recipe]:
    """The demo recipe at the smallest size, one epoch of one step, changed."""
    loaded = shipped("demo")
    small = {"internal_channels": 2, "n_internal_layers": 1, "num_tdfs": 2, "embedding_dim": 4}
    changes: dict[str, dict[str, Any]] = {
        "data": {"examples_per_epoch": 2},
        "model": {**small, "n_blocks": 3},
        "training": {"batch": 2, "epochs": 1},
    }
    for name, values in sections.items():
        changes[name] |= values
    recipe = dataclasses.replace(
        loaded.recipe,
        **{  # type: ignore[arg-type]
            name: dataclasses.replace(getattr(loaded.recipe, name), **values)
            for name, values in changes.items()
        },
    )
    return dataclasses.replace(loaded, recipe=recipe, verbatim=False)


def training(model: Separator, **changes: Any) -> Training:
    config = shipped("paper_gpocm_lasaft").recipe.training
    return Training(model, dataclasses.replace(config, **changes))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = make_dataset(tmp_path_factory.mktemp("songs"), STEMS, seconds=2.0)
    return open_dataset(root)


def audio(found: Any, key: str) -> Tensor:
    tensor: Tensor = found[key].transpose(1, 2)
    return tensor


def train_mode(model: Separator) -> Separator:
    model.train()
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return model


@pytest.mark.parametrize("name", STEPS)
def test_loss_gradients_and_one_step_are_the_authors(name: str, golden: Any) -> None:
    found = golden(name)
    model = train_mode(found.model())
    module = training(model)
    optimizer = module.configure_optimizers()
    assert type(optimizer) is torch.optim.Adam and optimizer.defaults["lr"] == 1e-3
    loss = module.compare(
        module.train_loss, audio(found, "mixture"), audio(found, "target"), found["condition"]
    )
    assert loss.item() == pytest.approx(float(found.about["loss_value"]), rel=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    norms, named = found.about["grad_norms"], dict(model.named_parameters())
    checked = 0
    for key, norm in norms.items():
        grad = named[key].grad
        if norm > 1e-5:
            assert grad is not None and grad.norm().item() == pytest.approx(norm, rel=1e-4), key
            checked += 1
    assert checked > 60
    for key, wanted in found.below("grad.").items():
        if norms[key] > 1e-5:
            found.check(f"grad.{key}", named[key].grad, 1e-4)
        assert wanted.shape == named[key].shape
    optimizer.step()
    state = model.state_dict()
    steps = found.below("after_step.")
    assert len(steps) > 40
    for key in steps:
        moved = key in norms and norms[key] <= 1e-5  # Adam turns rounding into a whole step
        if not moved:
            found.check(f"after_step.{key}", state[key], 1e-4)


@pytest.mark.parametrize("name", STEPS)
def test_every_loss_is_the_authors(name: str, golden: Any) -> None:
    found = golden(name)
    # In float64: dsr divides by shares close to zero, their float32 keeps three digits of it.
    model, losses = found.model().double(), found.about["eval_mode_losses"]
    mixture, target = (audio(found, key).double() for key in ("mixture", "target"))
    assert len(losses) == 14
    for title, value in losses.items():
        module = training(model, val_loss=title.split(" ")[0])
        with torch.no_grad():
            loss = module.compare(module.val_loss, mixture, target, found["condition"])
        tolerance = 1e-3 if title.startswith("dsr") else 1e-5
        assert loss.item() == pytest.approx(value, rel=tolerance), title


def test_a_target_is_drawn_evenly_and_its_mixture_holds_it(dataset: Dataset) -> None:
    config = demo().recipe.data
    mixes = ConditionedMixes(dataset.train, config, STEMS, seed=3)
    examples = [mixes[number] for number in range(64)]
    drawn = np.bincount([int(example["condition"]) for example in examples], minlength=4)
    assert drawn.sum() == 64 and drawn.min() >= 7
    # The tones of the four stems are 110 Hz apart: a target has its own stem's.
    for example in examples[:8]:
        spectrum = torch.fft.rfft(example["target"][0]).abs()
        hertz = spectrum.argmax().item() * 44_100 / example["target"].shape[-1]
        assert abs(hertz - 110.0 * (1 + int(example["condition"]))) < 30.0
        assert example["mixture"].shape == example["target"].shape == (2, 31_744)
    again = ConditionedMixes(dataset.train, config, STEMS, seed=3)[5]
    assert all(torch.equal(again[key], examples[5][key]) for key in again)


def test_an_epoch_holds_every_window_once_per_stem(dataset: Dataset) -> None:
    recipe = demo(data={"examples_per_epoch": 0}, training={"batch": 5}).recipe
    windows = 88_200 // 31_744 * len(dataset.train)
    assert windows_per_epoch(dataset.train, recipe.data) == 4 * windows
    model = PAPER.build_model(recipe)
    default = default_examples(dataset, recipe.data, STEMS, 0)
    examples = PAPER.choose_examples(default, dataset, recipe, model, 0)
    assert examples.per_epoch == 4 * windows // 5 * 5


def test_validation_windows_have_zeros_around_consecutive_chunks(dataset: Dataset) -> None:
    config, track = demo().recipe.data, dataset.valid[0]
    chunks = PaddedChunks([track], config, STEMS, 1_000 / 44_100, 50)
    assert len(chunks) == math.ceil(track.info.samples / 1_000)
    stem = torch.from_numpy(track.read_stem("drums", 0, track.info.samples))
    for number in (0, 1, len(chunks) - 1):
        found = chunks[number]["stems"][1]
        wanted = stem[:, number * 1_000 : (number + 1) * 1_000]
        assert found.shape == (2, 1_100)
        assert torch.equal(found[:, 50 : 50 + wanted.shape[1]], wanted)
        assert not found[:, :50].any() and not found[:, 50 + wanted.shape[1] :].any()
        assert torch.equal(chunks[number]["mixture"], chunks[number]["stems"].sum(dim=0))


def test_validation_is_the_mean_over_all_stems() -> None:
    recipe = demo().recipe
    model = PAPER.build_model(recipe).eval()
    module = PAPER.build_training(model, recipe)
    mixture = 0.1 * torch.randn(2, 2, 31_744, generator=torch.Generator().manual_seed(0))
    stems = torch.stack([mixture * share for share in (0.1, 0.2, 0.3, 0.4)], dim=1)
    logged = {}
    module.log_mean = lambda name, value, _: logged.__setitem__(name, value.item())
    with torch.no_grad():
        module.validation_step({"mixture": mixture, "stems": stems}, 0)
        alone = [
            module.compare(
                module.val_loss, mixture[i : i + 1], stems[i : i + 1, s], torch.tensor([s])
            )
            for i in range(2)
            for s in range(4)
        ]
    assert logged["val/loss"] == pytest.approx(torch.stack(alone).mean().item(), rel=1e-5)


def test_a_network_without_conditions_is_trained(dataset: Dataset, tmp_path: Path) -> None:
    loaded = demo(model={"block": "TDF", "modulation": None, "stems": ("bass",)})
    assert fit(PAPER, loaded, dataset, tmp_path / "run", Machine(device="cpu", workers=0))
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_examples_of_another_length_than_the_window_are_refused(
    dataset: Dataset, tmp_path: Path
) -> None:
    loaded = demo(data={"chunk_seconds": 1.0})
    with pytest.raises(ValueError, match="44100 samples, the model's window has 31744: set"):
        fit(PAPER, loaded, dataset, tmp_path / "run", Machine(device="cpu", workers=0))


def test_windows_without_useful_samples_can_not_validate(dataset: Dataset, tmp_path: Path) -> None:
    loaded = demo(model={"num_frame": 8}, data={"chunk_seconds": 7_168 / 44_100})
    with pytest.raises(ValueError, match="7168 samples keeps none after trimming 5120"):
        fit(PAPER, loaded, dataset, tmp_path / "run", Machine(device="cpu", workers=0))


@pytest.mark.parametrize(
    ("least", "patience", "losses", "epochs"),
    [
        (1, 1, [1.0, 2.0, 0.9, 0.8, 0.7, 0.6], 2),
        (4, 1, [1.0, 2.0, 3.0, 4.0, 0.5, 0.4], 4),  # due since the second
        (4, 1, [1.0, 2.0, 0.9, 0.8, 0.7, 0.6], 6),  # due at the second, improved since
        (4, 1, [1.0, 2.0, 0.9, 0.8, 0.9, 0.6], 5),
        (4, 2, [1.0, 2.0, 3.0, 0.9, 2.0, 0.8], 6),
    ],
)
def test_training_stops_early_but_not_before_its_fewest_epochs(
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    least: int,
    patience: int,
    losses: list[float],
    epochs: int,
) -> None:
    def validate(self: Training, _batch: Any, _number: int) -> None:
        self.log_mean("val/loss", torch.tensor(losses[self.current_epoch]), 1)

    monkeypatch.setattr(Training, "validation_step", validate)
    changes = {"epochs": 6, "early_stop_epochs": patience, "min_epochs": least}
    loaded = demo(training={**changes, "schedule": "none"})
    fit(PAPER, loaded, dataset, tmp_path / "run", Machine(device="cpu", workers=0))
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert len(rows) - 1 == epochs


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
def test_optimizers_leave_the_window_alone(name: str) -> None:
    model = PAPER.build_model(demo().recipe)
    optimizer = training(model, optimizer=name).configure_optimizers()
    assert type(optimizer).__name__.lower() == name
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert id(model.stft.stft.window) not in held
    assert len(held) == sum(p.requires_grad for p in model.parameters())


def test_the_plateau_follows_the_validation_loss() -> None:
    model = PAPER.build_model(demo().recipe)
    [_], [schedule] = training(model, schedule="plateau").configure_optimizers()
    assert schedule["monitor"] == "val/loss"
    assert (schedule["scheduler"].factor, schedule["scheduler"].patience) == (0.5, 50)


@pytest.mark.parametrize("field", ["optimizer", "schedule"])
def test_unknown_words_are_refused(field: str) -> None:
    model = PAPER.build_model(demo().recipe)
    with pytest.raises(ValueError, match=f"training.{field} is 'best': choose from"):
        training(model, **{field: "best"})


@pytest.mark.parametrize(
    "changes",
    [{"modulation": "GPoCM"}, {"modulation": "PoCM"}, {"control_n_layer": 3}],
    ids=lambda changes: [*changes][0],
)
def test_one_example_has_no_statistics_where_conditions_have_batch_norm(
    changes: dict[str, Any],
) -> None:
    model = PAPER.build_model(demo(model=changes).recipe)
    with pytest.raises(ValueError, match="training.batch is 1: .* give at least 2"):
        training(model, batch=1)
    training(model, batch=2)


@pytest.mark.parametrize(
    "changes",
    [
        {},  # FiLM with a control block of one layer has none
        {"modulation": "GPoCM", "pocm_norm": None},
        {"modulation": None, "block": "TDC", "stems": ("bass",)},
    ],
)
def test_one_example_is_enough_without_it(
    dataset: Dataset, tmp_path: Path, changes: dict[str, Any]
) -> None:
    loaded = demo(model=changes, training={"batch": 1})
    fit(PAPER, loaded, dataset, tmp_path / "run", Machine(device="cpu", workers=0, dev_mode=True))
    assert (tmp_path / "run" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("mode", "last", "said"),
    [("mapping", "sigmoid", 1), ("mapping", "identity", 0), ("masking", "sigmoid", 0)],
)
def test_a_mapping_that_ends_in_an_activation_is_pointed_out(
    dataset: Dataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    mode: str,
    last: str,
    said: int,
) -> None:
    loaded = demo(model={"spec_est_mode": mode, "last_activation": last})
    fit(PAPER, loaded, dataset, tmp_path / "run", Machine(device="cpu", workers=0, dev_mode=True))
    line = f"spec_est_mode mapping with last_activation {last}: identity is usual"
    assert capsys.readouterr().out.count(line) == said


def test_transforms_stay_in_full_precision_under_mixed_precision() -> None:
    mapping = {"spec_type": "complex", "input_channels": 4, "spec_est_mode": "mapping"}
    recipe = demo(model=mapping).recipe
    model = PAPER.build_model(recipe).train()
    module = PAPER.build_training(model, recipe)
    mixture = 0.1 * torch.randn(4, 2, 31_744)
    with torch.autocast("cpu", torch.bfloat16):
        loss = module.compare(module.train_loss, mixture, 0.5 * mixture, torch.arange(4))
        assert model.spectrum(mixture).dtype == torch.complex64
        found = model(mixture[:1])
    assert loss.dtype == found.dtype == torch.float32
    assert loss.isfinite() and found.isfinite().all()
