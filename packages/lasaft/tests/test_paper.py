"""Each hook of ``PAPER`` does what the package needs: without it one of these fails."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lasaft.data import ConditionedMixes, PaddedChunks
from lasaft.paper import PAPER
from lasaft.recipe import Recipe
from mss_shared import audio
from mss_shared.checkpoints import read_pickled_file
from mss_shared.checkpoints.checkpoint import save_model
from mss_shared.cli import run
from mss_shared.datasets import open_dataset
from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.testing import make_dataset
from mss_shared.training.random_mixes import default_examples

DEMO = load_recipe(Recipe, find_recipe("lasaft", "demo"))


def test_training_draws_one_stem_and_validation_pads_its_windows(tmp_path: Path) -> None:
    recipe = DEMO.recipe
    songs = open_dataset(make_dataset(tmp_path, recipe.data.stems, seconds=1.0))
    model = PAPER.build_model(recipe)
    default = default_examples(songs, recipe.data, model.stems, 0)
    examples = PAPER.choose_examples(default, songs, recipe, model, 0)
    assert isinstance(examples.train, ConditionedMixes)
    assert isinstance(examples.valid, PaddedChunks)


def test_windows_overlap_as_the_command_line_says() -> None:
    model = PAPER.build_model(DEMO.recipe)
    assert model.window_overlap != 0.25
    joined = PAPER.join_models([model], DEMO.recipe, {"window_overlap": 0.25})
    assert joined.window_overlap == 0.25


def test_the_flag_of_the_overlap_reaches_the_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header = {"paper": PAPER.name, "recipe": DEMO.text, "recipe_name": "demo"}
    header |= {"verbatim": "true", "leaf_sources": "null", "training": "null"}
    save_model(tmp_path / "a.safetensors", PAPER.build_model(DEMO.recipe), header)
    audio.write(tmp_path / "song.wav", np.zeros((2, 500), np.float32), 44_100)
    words = f"separate {tmp_path}/song.wav --checkpoint {tmp_path}/a.safetensors --out {tmp_path}/o"
    with pytest.raises(SystemExit):
        run(PAPER, [*words.split(), "--window_overlap", "0.7"])
    assert "--window_overlap 0.7: give 0 to 0.5" in capsys.readouterr().err


def test_weights_with_the_prefix_of_2020_fit() -> None:
    model = PAPER.build_model(DEMO.recipe)
    state = model.state_dict()
    old = {
        key.replace("spec2spec.", "conditional_spec2spec."): value for key, value in state.items()
    }
    found, _ = PAPER.adapt(old, model, "old.ckpt")
    assert set(old) != set(found) == set(state)


def test_a_file_that_pickles_more_than_weights_is_read(tmp_path: Path) -> None:
    weights = {"a": torch.ones(2)}
    torch.save({"state_dict": weights, "callbacks": Path("best.ckpt")}, tmp_path / "x.ckpt")
    found = PAPER.read_pickled(tmp_path / "x.ckpt", read_pickled_file)
    assert torch.equal(found["state_dict"]["a"], weights["a"])
