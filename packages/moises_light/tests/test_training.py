from types import SimpleNamespace
from typing import Any

import pytest
import torch

from moises_light.paper import PAPER
from moises_light.recipe import Recipe
from moises_light.training import Training, spec_error
from mss_shared.recipe import find_recipe, load_recipe


class Passing(torch.nn.Module):
    """A model whose estimate is its single parameter, whatever the mixture."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.level = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        return self.level.expand(len(mixture), 1, *mixture.shape[1:])


def training(**changes: Any) -> Training:
    words = [f"--recipe.training.{key}={value}" for key, value in changes.items()]
    recipe = load_recipe(Recipe, find_recipe("moises_light", "demo"), words).recipe
    return Training(Passing(recipe.model), recipe.training)  # type: ignore[arg-type]


def test_the_waveform_loss_is_the_mean_absolute_error() -> None:
    module = training(waveform_weight=2.0)
    estimate = torch.full((1, 1, 1, 4096), 0.5)
    assert module.loss(estimate, estimate - 0.25).item() == pytest.approx(0.5)


def test_a_constant_error_has_its_spectrum_in_two_bins() -> None:
    """A Hann window of n has a sum of n/2 at bin 0 and -n/4 at bin 1, over root n by the norm."""
    n_fft, hop = 64, 16
    error = torch.ones(1, 1, 1, n_fft * 4)
    bins, root = n_fft // 2 + 1, n_fft**0.5
    expected = (n_fft / 2 + n_fft / 4) / root / (2 * bins)  # centred frames reflect the constant
    found = spec_error(error, torch.zeros_like(error), n_fft, hop).item()
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_spectral_terms_add_with_their_weights_and_resolutions_average() -> None:
    torch.manual_seed(0)
    estimate, reference = torch.randn(2, 2, 1, 2, 8192)
    own = spec_error(estimate, reference, 1024, 512)
    first = spec_error(estimate, reference, 256, 64)
    second = spec_error(estimate, reference, 512, 128)
    module = training(
        waveform_weight=0.0, spec_weight=3.0, multi_spec_weight=2.0, multi_n_fft="[256,512]"
    )
    expected = 3.0 * own + 2.0 * (first + second) / 2.0
    assert module.loss(estimate, reference).item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"waveform_weight": 0.0}, "waveform_weight, spec_weight and multi_spec_weight are 0: set"),
        ({"multi_spec_weight": 1.0}, "multi_spec_weight is 1.0 and multi_n_fft empty: give sizes"),
        ({"multi_n_fft": "[512, 3]"}, r"multi_n_fft is \[512, 3\]: give at least 4"),
    ],
)
def test_a_loss_without_a_term_or_its_sizes_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        training(**changes)


def test_the_spectral_loss_stays_in_float32_under_autocast() -> None:
    estimate = torch.randn(1, 1, 1, 4096)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = spec_error(estimate.bfloat16(), torch.zeros_like(estimate), 256, 64)
    assert found.dtype == torch.float32


def test_cosine_ends_at_zero_after_all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    module = training(schedule="cosine", lr=1.0)
    monkeypatch.setattr(Training, "trainer", SimpleNamespace(estimated_stepping_batches=4))
    [optimizer], [schedule] = module.configure_optimizers()
    assert schedule["interval"] == "step"
    rates = []
    for _ in range(4):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule["scheduler"].step()
    assert rates == pytest.approx([1.0, 0.8535534, 0.5, 0.1464466])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-9)


def test_a_plateau_lowers_the_rate_after_its_patience() -> None:
    module = training(schedule="plateau", plateau_factor=0.5, plateau_patience=1, lr=1.0)
    [optimizer], [schedule] = module.configure_optimizers()
    assert schedule["monitor"] == "val/loss"
    rates = []
    for loss in (1.0, 1.0, 1.0, 1.0):
        schedule["scheduler"].step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1.0, 1.0, 0.5, 0.5]


def test_an_unknown_schedule_is_refused_with_the_legal_ones() -> None:
    with pytest.raises(ValueError, match="'linear': choose plateau or cosine"):
        training(schedule="linear")


def test_weight_decay_and_rate_reach_the_optimizer() -> None:
    module = training(schedule="plateau", plateau_factor=0.5, lr=0.125, weight_decay=0.25)
    [optimizer], _ = module.configure_optimizers()
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.defaults["lr"] == 0.125 and optimizer.defaults["weight_decay"] == 0.25


def test_gradients_of_a_recipe_loss_reach_the_model() -> None:
    recipe = load_recipe(Recipe, find_recipe("moises_light", "demo")).recipe
    model = PAPER.build_model(recipe).train()
    module = Training(model, recipe.training)
    stems = 0.1 * torch.randn(2, 4, 2, 8192)
    module.loss(model(stems.sum(dim=1)), stems).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
