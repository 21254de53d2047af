"""Each hook of ``PAPER`` does what the package needs: without it one of these fails."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from bs_roformer.cpu_speed import FASTER
from bs_roformer.data import Mixes
from bs_roformer.model import Roformer, build
from bs_roformer.paper import PAPER
from bs_roformer.recipe import Recipe
from mss_shared.datasets import open_dataset
from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.testing import make_dataset
from mss_shared.training.random_mixes import default_examples

DEMO = load_recipe(Recipe, find_recipe("bs_roformer", "demo")).recipe
SMALL: dict[str, Any] = {
    "dim": 8,
    "depth": 1,
    "time_transformer_depth": 1,
    "freq_transformer_depth": 1,
    "freqs_per_bands": [4, 4, 8, 17],
    "heads": 2,
    "dim_head": 4,
    "stft_n_fft": 64,
    "stft_win_length": 64,
    "stft_hop_length": 16,
    "mlp_expansion_factor": 2,
}
YAML = {
    "audio": {"chunk_size": 4_000, "sample_rate": 8_000},
    "model": SMALL,
    "training": {"instruments": ["vocals", "other"], "target_instrument": "vocals"},
}


@pytest.fixture
def network() -> Roformer:
    return build("bs", **SMALL, stems=["vocals"])


def has_faster_classes(model: torch.nn.Module) -> bool:
    return not {type(module) for module in model.modules()} & set(FASTER)


def test_the_networks_of_recipes_have_the_faster_classes() -> None:
    assert has_faster_classes(PAPER.build_model(DEMO))


def test_training_draws_the_papers_mixes(tmp_path: Path) -> None:
    songs = open_dataset(make_dataset(tmp_path, DEMO.data.stems, seconds=1.0))
    model = PAPER.build_model(DEMO)
    default = default_examples(songs, DEMO.data, model.stems, 0)
    examples = PAPER.choose_examples(default, songs, DEMO, model, 0)
    assert isinstance(examples.train, Mixes)


def test_weights_of_a_compiled_network_in_half_precision_fit(network: Roformer) -> None:
    state = network.state_dict()
    theirs = {f"_orig_mod.{key}": value.half() for key, value in state.items()}
    found, _ = PAPER.adapt(theirs, network, "model.ckpt")
    assert set(found) == set(state)
    assert {value.dtype for value in found.values()} == {torch.float32}


def test_weights_are_opened_with_the_yaml_beside_them(network: Roformer, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "model.ckpt")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(YAML), encoding="utf-8")
    assert PAPER.opens_configured
    found = PAPER.open_configured(str(tmp_path / "model.ckpt"), tmp_path / "config.yaml").model
    assert found.stems == ("vocals",) and has_faster_classes(found)
    state = network.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in found.state_dict().items())
