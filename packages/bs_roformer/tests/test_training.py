from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bs_roformer.data import Mixes
from bs_roformer.model import BSRoformer
from bs_roformer.paper import PAPER
from bs_roformer.recipe import Recipe
from bs_roformer.training import Training
from mss_shared.datasets import Track, open_dataset
from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.recipe_sections import PoolConfig
from mss_shared.testing import make_dataset
from mss_shared.training.random_mixes import default_examples

BINS = 65


def model(**changes: Any) -> BSRoformer:
    small = {"dim": 8, "depth": 1, "heads": 1, "dim_head": 2, "freqs_per_bands": (30, 35)}
    sizes = {"stft_n_fft": 128, "stft_win_length": 128, "stft_hop_length": 32}
    return BSRoformer(**{**small, **sizes, **changes})


def training(**changes: Any) -> Training:
    words = [f"--recipe.training.{key}={value}" for key, value in changes.items()]
    recipe = load_recipe(Recipe, find_recipe("bs_roformer", "demo"), words).recipe
    return Training(model(), recipe.training)


# ---- the loss


def test_the_waveform_loss_is_the_mean_absolute_error() -> None:
    estimate = torch.full((1, 1, 1, 4096), 0.5)
    _, (waveform, _) = model().loss(estimate, estimate - 0.25)
    assert waveform.item() == pytest.approx(0.25)


def test_a_constant_error_has_its_spectrum_in_two_bins() -> None:
    """A Hann window of n sums to n/2 at bin 0 and -n/4 at bin 1."""
    window = 128
    network = model(multi_stft_resolutions_window_sizes=(window,), multi_stft_hop_size=32)
    error = torch.full((1, 1, 1, 4096), 0.5)
    _, (_, spectral) = network.loss(error, torch.zeros_like(error))
    expected = 0.5 * (window / 2 + window / 4) / BINS
    assert spectral.item() == pytest.approx(expected, rel=1e-5)


def test_short_windows_are_transformed_at_the_models_size() -> None:
    """A window of 32 in 128 points has the bins of 128."""
    network = model(multi_stft_resolutions_window_sizes=(32,), multi_stft_hop_size=32)
    error = torch.ones(1, 1, 1, 4096)
    _, (_, spectral) = network.loss(error, torch.zeros_like(error))
    padded = torch.fft.rfft(torch.hann_window(32), 128).abs()
    assert spectral.item() == pytest.approx(padded.mean().item(), rel=1e-5)


def test_resolutions_add_and_the_weight_multiplies_their_sum() -> None:
    torch.manual_seed(0)
    estimate, target = torch.randn(2, 2, 1, 1, 4096)

    def spectral(*windows: int) -> float:
        network = model(multi_stft_resolutions_window_sizes=windows)
        return network.loss(estimate, target)[1][1].item()

    assert spectral() == 0.0
    assert spectral(256, 64) == pytest.approx(spectral(256) + spectral(64), rel=1e-6)
    weighted = model(multi_stft_resolution_loss_weight=3.0)
    total, (waveform, sum_) = weighted.loss(estimate, target)
    assert total.item() == pytest.approx(waveform.item() + 3.0 * sum_.item(), rel=1e-6)


def test_the_loss_takes_signals_shorter_than_its_windows() -> None:
    assert model().loss(torch.ones(1, 1, 1, 50), torch.zeros(1, 1, 1, 50))[0].isfinite()


def test_the_loss_stays_in_float32_under_autocast() -> None:
    estimate = torch.randn(1, 1, 1, 4096)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total, _ = model().loss(estimate.bfloat16(), torch.zeros_like(estimate))
    assert total.dtype == torch.float32


# ---- optimizer and schedule


def rates(module: Training, steps: int) -> list[float]:
    [optimizer], [schedule] = module.configure_optimizers()
    assert schedule["interval"] == "step"
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule["scheduler"].step()
    return found


def test_steps_lower_the_rate_every_so_many() -> None:
    module = training(schedule="step", lr=1.0, lr_factor=0.5, decay_steps=3)
    assert rates(module, 7) == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25]


def test_cosine_ends_at_zero_after_all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    module = training(schedule="cosine", lr=1.0)
    monkeypatch.setattr(Training, "trainer", SimpleNamespace(estimated_stepping_batches=4))
    assert rates(module, 5) == pytest.approx([1.0, 0.8535534, 0.5, 0.1464466, 0.0], abs=1e-7)


def test_a_plateau_lowers_the_rate_after_its_patience() -> None:
    module = training(schedule="plateau", lr_factor=0.5, plateau_patience=1, lr=1.0)
    [optimizer], [schedule] = module.configure_optimizers()
    assert schedule["monitor"] == "val/loss"
    found = []
    for loss in (1.0, 1.0, 1.0, 1.0):
        schedule["scheduler"].step(loss)
        found.append(optimizer.param_groups[0]["lr"])
    assert found == [1.0, 1.0, 0.5, 0.5]


def test_an_unknown_schedule_is_refused_with_the_legal_ones() -> None:
    with pytest.raises(ValueError, match="'linear': choose step, plateau or cosine"):
        training(schedule="linear")


def test_weight_decay_and_rate_reach_the_optimizer() -> None:
    module = training(schedule="plateau", lr_factor=0.5, lr=0.125, weight_decay=0.25)
    [optimizer], _ = module.configure_optimizers()
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.defaults["lr"] == 0.125 and optimizer.defaults["weight_decay"] == 0.25


def test_checkpointing_reaches_the_model() -> None:
    assert not training(activation_checkpointing="false").model.activation_checkpointing
    assert training(activation_checkpointing="true").model.activation_checkpointing


@pytest.mark.parametrize("name", ["demo", "demo_mel"])
def test_gradients_of_a_recipes_loss_reach_the_model(name: str) -> None:
    recipe = load_recipe(Recipe, find_recipe("bs_roformer", name)).recipe
    network = PAPER.build_model(recipe).train()
    stems = 0.1 * torch.randn(2, 4, 2, 8192)
    network(stems.sum(dim=1), target=stems).backward()
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad)


# ---- the data


def mixes(songs: list[Track], **changes: Any) -> Mixes:
    recipe = load_recipe(Recipe, find_recipe("bs_roformer", "demo")).recipe
    plain = {"pool": None, "gain_range_db": (0.0, 0.0), "silent_stem_prob": 0.0}
    return Mixes(songs, replace(recipe.data, **{**plain, **changes}), ["bass"], 0)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> list[Track]:
    root = tmp_path_factory.mktemp("songs")
    make_dataset(root, ("vocals", "drums", "bass", "other"), test=0, seconds=2.0)
    return list(open_dataset(root).split("train"))


def test_gains_are_even_in_decibels(songs: list[Track]) -> None:
    plain, louder = mixes(songs), mixes(songs, gain_range_db=(-3.0, 3.0))
    gains = []
    for number in range(60):
        before, after = (m[number]["stems"][0] for m in (plain, louder))
        ratio = (after.square().sum() / before.square().sum()).sqrt()
        assert torch.allclose(after, ratio * before, atol=1e-6)
        gains.append(20 * ratio.log10().item())
    assert -3.0 <= min(gains) < -2.5 and 2.5 < max(gains) <= 3.0
    assert abs(sum(gains)) / 60 < 0.7  # of factors, the mean would lie at 0.4 dB and above


def test_every_stem_has_a_gain_of_its_own(songs: list[Track]) -> None:
    plain, louder = mixes(songs), mixes(songs, gain_range_db=(-3.0, 3.0))
    plain.targets = louder.targets = [0, 1, 2, 3]
    power = [m[0]["stems"].square().sum(dim=(1, 2)) for m in (plain, louder)]
    assert len({round(ratio, 3) for ratio in (power[1] / power[0]).tolist()}) == 4


def test_the_mixture_is_the_sum_of_the_stems_after_gains_and_effects(songs: list[Track]) -> None:
    effects = load_recipe(Recipe, find_recipe("bs_roformer", "community_4stem")).recipe.data.effects
    source = mixes(songs, effects=effects, gain_range_db=(-3.0, 3.0))
    source.targets = [0, 1, 2, 3]
    for number in range(6):
        example = source[number]
        assert torch.allclose(example["mixture"], example["stems"].sum(dim=0), atol=1e-6)


def test_effects_act_on_their_own_stem(songs: list[Track]) -> None:
    found = load_recipe(Recipe, find_recipe("bs_roformer", "community_4stem")).recipe.data.effects
    assert found is not None
    off = {name: (0.0,) * 4 for name, value in vars(found).items() if name.endswith("_prob")}
    noisy = replace(found, **{**off, "reversal_prob": 0.0, "noise_prob": (0.0, 0.0, 1.0, 0.0)})
    plain, changed = mixes(songs), mixes(songs, effects=noisy)
    plain.targets = changed.targets = [0, 1, 2, 3]
    same = [torch.equal(*pair) for pair in zip(plain[5]["stems"], changed[5]["stems"], strict=True)]
    assert same == [True, True, False, True]


def test_a_pool_gives_the_examples(songs: list[Track]) -> None:
    source = mixes(songs, pool=PoolConfig(1, -60.0))
    assert source.pool is not None
    expected = torch.from_numpy(source.pool.segment(2, 7))
    assert torch.equal(source[7]["stems"][0], expected)


def test_a_fit_draws_from_these_mixes(songs: list[Track]) -> None:
    recipe = load_recipe(Recipe, find_recipe("bs_roformer", "paper_bs_l6_bass")).recipe
    dataset = SimpleNamespace(train=songs, valid=songs)
    model = SimpleNamespace(stems=["bass"])
    default = default_examples(dataset, recipe.data, model.stems, 0)
    examples = PAPER.choose_examples(default, dataset, recipe, model, 0)
    assert isinstance(examples.train, Mixes) and examples.valid is default.valid
    assert examples.train.pool is not None and examples.train.pool.pool == recipe.data.pool
