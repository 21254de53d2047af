import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_paper.model import TinyMask
from tiny_paper.paper import PAPER
from tiny_songs import RATE, STEMS, demo_recipe
from torch.utils.checkpoint import checkpoint

from mss_shared.datasets import Dataset, open_dataset
from mss_shared.interfaces import ExampleSets
from mss_shared.testing import make_dataset
from mss_shared.training import enough_memory, step_memory
from mss_shared.training.fit import Machine, fit
from mss_shared.training.imagined import imagined_songs
from mss_shared.training.random_mixes import default_examples
from mss_shared.training.step_memory import PROCESS_BYTES, estimate_step


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = make_dataset(tmp_path_factory.mktemp("songs"), STEMS, (RATE, 2), seconds=1.0)
    return open_dataset(root)


def examples(recipe: Any) -> ExampleSets:
    songs = imagined_songs(recipe.data.stems, RATE, 2)
    return default_examples(songs, recipe.data, STEMS, 0)


def test_weights_gradients_and_adams_two_averages_are_the_state() -> None:
    recipe = demo_recipe().recipe
    weights = sum(p.numel() * 4 for p in PAPER.build_model(recipe).parameters())
    scalars = 4 * 4  # Adam counts the steps of each of four tensors
    found = estimate_step(PAPER, recipe, examples(recipe), 4)
    assert found.state == pytest.approx(4 * weights + scalars, abs=64)
    averaged = dataclasses.replace(
        recipe, training=dataclasses.replace(recipe.training, ema_decay=0.9)
    )
    assert estimate_step(PAPER, averaged, examples(recipe), 4).peak == found.peak + weights


def test_memory_grows_with_the_examples() -> None:
    recipe = demo_recipe().recipe
    one, two, four = (estimate_step(PAPER, recipe, examples(recipe), n).peak for n in (1, 2, 4))
    assert four - two == pytest.approx(2 * (two - one), rel=0.01)


def test_a_long_step_is_computed_for_shorter_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = demo_recipe().recipe
    whole = estimate_step(PAPER, recipe, examples(recipe), 4)
    monkeypatch.setattr(step_memory, "_OPERATIONS", 3)
    shorter = estimate_step(PAPER, recipe, examples(recipe), 4)
    assert shorter.examples == 1 and whole.examples == 4
    assert shorter.peak == pytest.approx(whole.peak, rel=0.05)


def test_an_estimate_draws_no_random_numbers() -> None:
    recipe = demo_recipe().recipe
    sets = examples(recipe)
    torch.manual_seed(3)
    wanted = torch.rand(3)
    torch.manual_seed(3)
    estimate_step(PAPER, recipe, sets, 2)
    assert torch.equal(torch.rand(3), wanted)


def refused(dataset: Dataset, out: Path, **settings: Any) -> str:
    machine = Machine(device="cpu", ignore_memory=False, **settings)
    with pytest.raises(ValueError) as caught:
        fit(PAPER, demo_recipe(model={"width": 64}), dataset, out, machine)
    assert not out.exists()
    return str(caught.value)


def test_a_step_that_does_not_fit_is_refused_with_what_would(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = demo_recipe(model={"width": 64}).recipe
    two = estimate_step(PAPER, recipe, examples(recipe), 2, accumulates=True).total
    monkeypatch.setattr(enough_memory, "free_bytes", lambda device: two + 1_000)
    text = refused(dataset, tmp_path / "run")
    assert text.startswith("a step of 4 examples of 0.25 s needs about 0.5 GB and 0.5 GB are free:")
    assert "--micro_batch 2 (about 0.5 GB)" in text and text.endswith("with --ignore_memory")
    machine = Machine(device="cpu", ignore_memory=False, micro_batch=2)
    fit(PAPER, demo_recipe(model={"width": 64}), dataset, tmp_path / "half", machine)


def test_where_nothing_helps_a_variant_is_advised(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enough_memory, "free_bytes", lambda device: PROCESS_BYTES)
    assert "smaller --recipe.training.batch" in refused(dataset, tmp_path / "run")


def test_unknown_free_memory_stops_nobody_and_the_flag_ignores_it(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enough_memory, "free_bytes", lambda device: None)
    fit(PAPER, demo_recipe(), dataset, tmp_path / "a", Machine(device="cpu", ignore_memory=False))
    monkeypatch.setattr(enough_memory, "free_bytes", lambda device: 1)
    fit(PAPER, demo_recipe(), dataset, tmp_path / "b", Machine(device="cpu", ignore_memory=True))


def test_checkpointed_activations_change_no_byte_of_a_run(dataset: Dataset, tmp_path: Path) -> None:
    for name, wanted in (("plain", False), ("again", True)):
        machine = Machine(device="cpu", checkpoint_activations=wanted)
        fit(PAPER, demo_recipe(), dataset, tmp_path / name, machine)
    for name in ("metrics.csv", "recipe.yaml"):
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_dev_mode_has_a_small_batch(dataset: Dataset, tmp_path: Path) -> None:
    fit(PAPER, demo_recipe(), dataset, tmp_path, Machine(device="cpu", dev_mode=True))
    assert "batch: 2\n" in (tmp_path / "recipe.yaml").read_text(encoding="utf-8")


class Attentive(torch.nn.Module):
    """Attention with dropout, computed again in half precision, as big models have it."""

    def __init__(self) -> None:
        super().__init__()
        self.width = torch.nn.Parameter(torch.ones(1))

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        def block(x: torch.Tensor) -> torch.Tensor:
            x = x * self.width
            return torch.nn.functional.scaled_dot_product_attention(x, x, x, dropout_p=0.1)

        return checkpoint(block, batch["mixture"], use_reentrant=False).float().sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters())


def test_attention_is_fused_where_it_is_computed_again() -> None:
    batch = {"mixture": torch.zeros(2, 2, 8, 4)}
    plain = torch.nn.functional.scaled_dot_product_attention
    found = step_memory._simulate(
        Attentive(), batch, 1000, torch.bfloat16, True, False, nullcontext()
    )
    assert found.examples == 2
    assert torch.nn.functional.scaled_dot_product_attention is plain


def test_a_model_that_takes_no_example_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = demo_recipe().recipe
    monkeypatch.setattr(TinyMask, "forward", lambda self, mixture: mixture @ mixture)
    with pytest.raises(
        ValueError, match=r"can't be trained on its examples \(.*: give other sizes"
    ):
        estimate_step(PAPER, recipe, examples(recipe), 1)


@pytest.mark.parametrize(
    "compute",
    [
        lambda: torch.eye(3)[torch.eye(3) > 0],
        lambda: torch.ones(3).unique(),
        lambda: torch.ones(3).numpy(),
        lambda: torch.ones(3).sum().item(),
        lambda: torch.from_numpy(np.ones(3)) * torch.ones(3),
    ],
    ids=["mask", "unique", "numpy", "item", "from_numpy"],
)
def test_a_model_that_computes_with_values_is_built_by_the_run_itself(
    compute: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    build = type(PAPER).build_model
    monkeypatch.setattr(
        type(PAPER), "build_model", lambda self, recipe: (compute(), build(self, recipe))[1]
    )
    enough_memory.check_model(PAPER, demo_recipe().recipe)
