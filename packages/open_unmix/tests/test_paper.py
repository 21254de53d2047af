"""Each hook of ``PAPER`` does what the package needs: without it one of these fails."""

import json
from pathlib import Path

import pytest
import torch

from mss_shared.checkpoints.checkpoint import load_checkpoints, save_model
from mss_shared.cli import run
from mss_shared.datasets import Dataset, open_dataset
from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.testing import make_dataset
from mss_shared.training.random_mixes import RandomMixes, default_examples
from open_unmix.examples import WholeTracks
from open_unmix.paper import PAPER
from open_unmix.recipe import Recipe

DEMO = load_recipe(Recipe, find_recipe("open_unmix", "demo"))
STEMS = DEMO.recipe.model.targets


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_dataset(make_dataset(tmp_path_factory.mktemp("songs"), STEMS, seconds=0.5))


def test_training_begins_with_statistics_of_the_songs(songs: Dataset) -> None:
    model = PAPER.build_model(DEMO.recipe)
    PAPER.prepare(model, songs, DEMO.recipe)
    for network in model.networks():
        assert network.input_mean.all() and not (network.input_scale == 1).any()


def test_validation_hears_whole_songs(songs: Dataset) -> None:
    model = PAPER.build_model(DEMO.recipe)
    default = default_examples(songs, DEMO.recipe.data, model.stems, 0)
    examples = PAPER.choose_examples(default, songs, DEMO.recipe, model, 0)
    assert isinstance(examples.valid, WholeTracks) and isinstance(examples.train, RandomMixes)


def test_networks_are_joined_under_the_filter_of_the_command_line() -> None:
    model = PAPER.build_model(DEMO.recipe)
    flags = {"targets": ["bass"], "residual": True, "niter": 3}
    joined = PAPER.join_models([model], DEMO.recipe, flags)
    assert joined.stems == ("bass", "accompaniment") and joined.settings.niter == 3


def test_weights_of_one_network_are_read_as_its_targets() -> None:
    recipe = load_recipe(Recipe, find_recipe("open_unmix", "umxse_noise")).recipe
    model = PAPER.build_model(recipe)
    [network] = model.networks()
    found, _ = PAPER.adapt(network.state_dict(), model, "noise.pth")
    assert set(found) == set(model.state_dict())


def test_what_the_verb_exports_is_opened_as_a_folder(tmp_path: Path) -> None:
    header = {"paper": PAPER.name, "recipe": DEMO.text, "recipe_name": "demo"}
    header |= {"verbatim": "true", "leaf_sources": "null", "training": "null"}
    model = PAPER.build_model(DEMO.recipe)
    save_model(tmp_path / "a.safetensors", model, header)
    source, out = str(tmp_path / "a.safetensors"), str(tmp_path / "out")
    run(PAPER, ["export", "--checkpoint", source, "--out", out])
    found = {
        checkpoint.model.stems: checkpoint.model for checkpoint in load_checkpoints(PAPER, out)
    }
    assert set(found) == {(stem,) for stem in STEMS}
    [bass] = found["bass",].networks()
    assert torch.equal(bass.fc1.weight, model.target_models["bass"].fc1.weight)


def test_a_folder_with_compiled_networks_under_other_suffixes_is_opened(tmp_path: Path) -> None:
    model = PAPER.build_model(DEMO.recipe)
    state = model.target_models["bass"].state_dict()
    wrapped = {f"module._orig_mod.{name}": tensor for name, tensor in state.items()}
    torch.save({"state_dict": wrapped, "epoch": 3}, tmp_path / "bass-0123abcd.PTH")
    sizes = DEMO.recipe.model
    transform = {"nfft": sizes.n_fft, "nhop": sizes.n_hop, "sample_rate": sizes.sample_rate}
    transform["nb_channels"] = sizes.nb_channels
    (tmp_path / "separator.json").write_text(json.dumps(transform), encoding="utf-8")
    [checkpoint] = load_checkpoints(PAPER, str(tmp_path))
    [bass] = checkpoint.model.networks()
    assert checkpoint.model.stems == ("bass",)
    assert all(torch.equal(bass.state_dict()[name], state[name]) for name in state)
    assert "removed the prefix '_orig_mod.' from every key" in checkpoint.notes
