import copy
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mss_shared import audio
from mss_shared.datasets import Dataset, open_dataset
from mss_shared.datasets.folders import read_track
from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.separation.channels import to_model
from mss_shared.training.callbacks import EarlyStop
from mss_shared.training.criteria import MONITOR
from mss_shared.training.random_mixes import RandomMixes, augment, default_examples
from open_unmix.examples import WholeTracks
from open_unmix.model import OpenUnmix
from open_unmix.paper import PAPER
from open_unmix.recipe import Recipe
from open_unmix.separator import Separator
from open_unmix.statistics import input_statistics, set_statistics
from open_unmix.training import Training

STEPS = ("train_single_layer", "train_three_layers_nodropout")


def recipe(name: str = "demo", **changes: Any) -> Recipe:
    words = [f"--recipe.{key.replace('__', '.')}={value}" for key, value in changes.items()]
    return load_recipe(Recipe, find_recipe("open_unmix", name), words).recipe


def prepared(found: Any) -> Training:
    """The fixture's network in a training module, its dropout off."""
    network = OpenUnmix(**found.config)
    network.load_state_dict(found.below("param."), strict=True)
    network.lstm.dropout = 0.0
    n_fft = 2 * (network.nb_bins - 1)
    model = Separator({"vocals": network}, n_fft=n_fft, n_hop=n_fft // 4, sample_rate=8000)
    loop = recipe("umxhq_vocals").training
    return Training(model, loop).train()


@pytest.mark.parametrize("name", STEPS)
def test_loss_gradients_and_one_step_are_the_authors(name: str, golden: Any) -> None:
    found = golden(name)
    module = prepared(found)
    network = module.model.target_models["vocals"]
    module.magnitude = lambda magnitudes: magnitudes  # type: ignore[method-assign]
    loss = module.loss({"mixture": found["input"], "stems": found["target"][:, None]})
    assert loss.item() == pytest.approx(float(found.about["loss_value"]), rel=1e-5)
    [optimizer], _ = module.configure_optimizers()
    loss.backward()
    norms = json.loads(found.about["grad_norms"])
    gradients = found.below("grad.")
    assert set(gradients) == {key for key, _ in network.named_parameters()} == set(norms)
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert_close(parameter.grad, gradients[key], rtol=1e-4, atol=1e-6)
        if key != "input_mean":  # batch norm removes a constant: its gradient is rounding
            assert parameter.grad.norm().item() == pytest.approx(norms[key], rel=1e-4)
    optimizer.step()
    for key, value in found.below("after_step.").items():
        if key == "input_mean":  # Adam divides rounding by its own size
            assert (network.state_dict()[key] - value).abs().max() <= 2e-3
        else:
            assert_close(network.state_dict()[key], value, rtol=1e-4, atol=1e-5)


def test_the_output_in_training_mode_is_the_authors(golden: Any) -> None:
    for name in STEPS:
        found = golden(name)
        network = prepared(found).model.target_models["vocals"]
        assert_close(network(found["input"]), found["output"], rtol=1e-5, atol=1e-5)


def test_each_network_gets_the_gradients_it_would_get_alone() -> None:
    torch.manual_seed(0)
    model = PAPER.build_model(recipe()).train()
    stems = 0.1 * torch.randn(2, 4, 2, 8192)
    Training(model, recipe().training).loss({"mixture": stems.sum(1), "stems": stems}).backward()
    for number, stem in enumerate(model.stems):
        alone = Separator(
            {stem: copy.deepcopy(model.target_models[stem])}, n_fft=2048, sample_rate=44100
        )
        network = alone.target_models[stem]
        network.zero_grad()
        for norm in (network.bn1, network.bn2, network.bn3):
            norm.reset_running_stats()
        batch = {"mixture": stems.sum(1), "stems": stems[:, number : number + 1]}
        Training(alone, recipe().training).train().loss(batch).backward()
        for (key, a), b in zip(
            network.named_parameters(), model.target_models[stem].parameters(), strict=True
        ):
            assert_close(a.grad, b.grad, msg=lambda m, k=key: f"{k}: {m}")


def test_frames_of_training_lie_inside_the_audio() -> None:
    model = PAPER.build_model(recipe())
    module = Training(model, recipe().training)
    assert module.magnitude(torch.zeros(1, 2, 8192)).shape == (1, 2, 1025, 7)


def test_optimizer_and_schedule_are_those_of_the_script() -> None:
    model = PAPER.build_model(recipe())
    [optimizer], [schedule] = Training(model, recipe("umxhq_bass").training).configure_optimizers()
    assert type(optimizer) is torch.optim.Adam
    assert (optimizer.defaults["lr"], optimizer.defaults["weight_decay"]) == (1e-3, 1e-5)
    plateau = schedule["scheduler"]
    assert (plateau.factor, plateau.patience, plateau.cooldown) == (0.3, 80, 10)
    assert schedule["monitor"] == "val/loss"


def test_early_stopping_is_the_authors(golden_json: Any) -> None:
    trace = golden_json("utils")["early_stopping"]
    stop = EarlyStop(MONITOR["loss"], trace["patience"])
    assert len(trace["trace"]) == 9
    for epoch in trace["trace"]:
        stopped, _ = stop._evaluate_stopping_criteria(torch.tensor(epoch["metric"]))
        assert (stopped, stop.wait_count) == (epoch["stop"], epoch["bad"])
        assert stop.best_score.item() == pytest.approx(epoch["best"])
    assert stop._evaluate_stopping_criteria(torch.tensor(float("nan")))[0]


class Drawn:
    """A generator that returns what it was given."""

    def __init__(self, gain: float, swap: float) -> None:
        self.gain, self.draws = gain, iter([1.0, 1.0, swap])  # polarity, silence, swap

    def uniform(self, low: float, high: float) -> float:
        return low + self.gain * (high - low)

    def random(self) -> float:
        return next(self.draws)


def augmented(signal: Any, gain: float, swap: float, **changes: Any) -> torch.Tensor:
    config = replace(recipe("umxhq_vocals").data, **changes)
    return torch.from_numpy(augment(signal.numpy(), config, Drawn(gain, swap)).copy())  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(4))
def test_gain_and_channel_swap_are_the_authors(seed: int, golden: Any) -> None:
    """The same numbers drawn, the recipe's augmentation does what the authors' does."""
    found = golden("augment")
    none: dict[str, Any] = {"gain_range": (1.0, 1.0)}
    torch.manual_seed(seed)
    first, second = torch.rand(2).tolist()
    gained = augmented(found["input"], first, 1.0, channel_swap_prob=0.0)
    assert_close(gained, found[f"gain.seed{seed}"], rtol=1e-6, atol=1e-7)
    swapped = augmented(found["input"], 0.0, first, **none)
    assert torch.equal(swapped, found[f"channelswap.seed{seed}"])
    both = augmented(found["input"], first, second)
    assert_close(both, found[f"gain_then_channelswap.seed{seed}"], rtol=1e-6, atol=1e-7)


def test_a_mono_stem_becomes_stereo_as_the_authors_does(golden: Any) -> None:
    found = golden("augment")
    mono = found["input"][:1].numpy()
    model = PAPER.build_model(recipe())
    [stereo] = to_model(torch.from_numpy(mono), model.channels)
    assert torch.equal(stereo, found["force_stereo.mono"])


def write_mixtures(root: Path, golden: Any, mono: bool) -> list[Any]:
    found = golden("input_statistics")
    tracks = []
    for number in range(3):
        mixture = found[f"track{number}"].numpy()
        mixture = mixture.mean(axis=0, keepdims=True) if mono else mixture
        for stem in ("mixture", "vocals"):
            audio.write(root / f"{number}" / f"{stem}.wav", mixture, 8000, "FLOAT")
        tracks.append(read_track(root / f"{number}"))
    return tracks


def test_statistics_of_the_mixtures_are_the_authors(
    tmp_path: Path, golden: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = golden("input_statistics")
    tracks = write_mixtures(tmp_path, golden, mono=False)
    for frames in (1024, 7):  # in one read, and pieced together
        monkeypatch.setattr("open_unmix.statistics.FRAMES_AT_ONCE", frames)
        mean, scale = input_statistics(tracks, 256, 64)
        for setting in ("nb_channels2", "nb_channels1"):  # magnitudes are averaged in both
            assert_close(mean, found[f"{setting}.mean"], rtol=1e-5, atol=1e-5)
            assert_close(scale, found[f"{setting}.std"], rtol=1e-5, atol=1e-5)


def test_bins_that_hardly_vary_get_a_floor(tmp_path: Path) -> None:
    """A low tone that swells: bins far above it see its leakage alone."""
    time = np.arange(8000) / 8000
    tone = (0.5 * time * np.sin(2 * np.pi * 100 * time)).astype(np.float32)[None]
    audio.write(tmp_path / "a" / "vocals.wav", tone, 8000, "FLOAT")
    track = read_track(tmp_path / "a")
    _, scale = input_statistics([track], 1024, 256)
    spec = torch.stft(
        torch.from_numpy(tone),
        1024,
        256,
        window=torch.hann_window(1024),
        center=False,
        return_complex=True,
    )
    plain = spec[0].abs().double().std(dim=-1, correction=0)
    assert plain.min() < 1e-5 * plain.max()
    assert scale.min().item() == pytest.approx(1e-4 * scale.max().item())


def test_bins_that_never_vary_have_scale_one(tmp_path: Path) -> None:
    constant = np.full((1, 640), 0.25, dtype=np.float32)
    audio.write(tmp_path / "a" / "vocals.wav", constant, 8000, "FLOAT")
    mean, scale = input_statistics([read_track(tmp_path / "a")], 64, 16)
    assert mean[0].item() == pytest.approx(0.25 * 32, rel=1e-5)  # a Hann window of 64 sums to 32
    assert scale[0].item() == 1.0


def dataset(root: Path) -> Dataset:
    rng = np.random.default_rng(0)
    for split, name, samples in (("train", "a", 9000), ("train", "b", 7000), ("valid", "c", 5000)):
        for stem in ("vocals", "drums", "bass", "other", "mixture"):
            values = 0.1 * rng.standard_normal((2, samples)).astype(np.float32)
            audio.write(root / split / name / f"{stem}.wav", values, 44_100, "FLOAT")
    return open_dataset(root)


def test_the_statistics_reach_every_network_before_the_first_step(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    model = PAPER.build_model(recipe())
    set_statistics(model, data, recipe())
    mean, scale = input_statistics(data.train, 2048, 1024)
    for network in model.target_models.values():
        assert torch.equal(network.input_mean, -mean[: network.max_bin].float())
        assert torch.equal(network.input_scale, (1 / scale[: network.max_bin]).float())


def test_validation_hears_whole_songs_and_their_own_mixture_files(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    [song] = [WholeTracks(data.valid, ("bass",))[0]]
    assert song["mixture"].shape == (2, 5000) and song["stems"].shape == (1, 2, 5000)
    mixture = torch.from_numpy(audio.read(tmp_path / "valid" / "c" / "mixture.wav"))
    assert torch.equal(song["mixture"], mixture)  # noise of its own, no sum
    model: Any = SimpleNamespace(stems=("bass",))
    default = default_examples(data, recipe().data, model.stems, 0)
    examples = PAPER.choose_examples(default, data, recipe(), model, 0)
    assert len(examples.valid) == 1 and examples.valid_batch == 1
    assert isinstance(examples.train, RandomMixes) and len(examples.train.tracks) == 2
