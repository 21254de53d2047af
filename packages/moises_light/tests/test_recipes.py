import hashlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from moises_light import MoisesLight, configs
from moises_light.paper import PAPER
from moises_light.recipe import Recipe
from mss_shared.checkpoints.fitting import fitting_recipes
from mss_shared.checkpoints.third_party import WeightsFile
from mss_shared.leaf_sources import leaf_comments
from mss_shared.recipe import (
    LoadedRecipe,
    find_recipe,
    load_recipe,
    recipe_digest,
    recipe_from_text,
    to_yaml,
)

# Counts of the package's presets with four stems (0.1.5), and of the readings of the paper.
PARAMETERS = {
    "paper_large": 5_451_216,
    "paper_small": 2_558_768,
    "fullband_large": 5_477_844,
    "fullband_small": 2_805_796,
    "fullband_large_wide": 9_704_844,
    "fullband_small_wide": 4_323_976,
    "community": 5_779_216,
    "paper_large_v010": 4_660_592,
    "paper_small_v010": 2_520_592,
    "fullband_large_v010": 4_948_612,
    "fullband_small_v010": 2_824_244,
    "fullband_large_wide_v010": 8_354_908,
    "fullband_small_wide_v010": 4_102_712,
    **{f"paper_large_{stem}": 4_877_616 for stem in ("vocals", "drums", "bass", "other")},
    **{f"paper_small_{stem}": 2_165_376 for stem in ("vocals", "drums", "bass", "other")},
    "paper_large_vocals_last": 4_706_816,
    "paper_large_vocals_each": 5_117_864,
    "paper_large_vocals_dim_head_32": 5_451_136,
    "paper_large_vocals_raw": 4_877_616,
    "paper_small_vocals_last": 2_109_248,
    "paper_small_vocals_each": 2_333_408,
    "paper_small_vocals_dim_head_32": 2_558_688,
}


def recipe(name: str) -> LoadedRecipe[Recipe]:
    return load_recipe(Recipe, find_recipe("moises_light", name))


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_recipe_builds_the_published_parameter_count(name: str) -> None:
    model = PAPER.build_model(recipe(name).recipe)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("size", ["large", "small"])
@pytest.mark.parametrize("stem", ["vocals", "drums", "bass", "other"])
def test_the_papers_recipes_generate_one_stem_directly(size: str, stem: str) -> None:
    found = recipe(f"paper_{size}_{stem}").recipe
    assert found.model.sources == (stem,)
    assert not found.model.use_mask
    assert (found.model.bn_factor, found.model.dec_heavy_at) == (8, "first")
    assert found.model.transformer_params.heads * found.model.transformer_params.dim_head == 64
    assert found.model.architecture == "0.1.5"
    assert found.reproduces == f"moises_light/paper_{size}"


@pytest.mark.parametrize("size", ["large", "small"])
def test_the_papers_recipes_differ_in_the_stem_alone(size: str) -> None:
    vocals = recipe(f"paper_{size}_vocals").recipe
    for stem in ("drums", "bass", "other"):
        other = recipe(f"paper_{size}_{stem}").recipe
        assert other == replace(vocals, model=replace(vocals.model, sources=(stem,)))


READINGS: dict[str, dict[str, Any]] = {
    "last": {"dec_heavy_at": "last"},
    "each": {"dec_heavy_at": "each"},
    "dim_head_32": {"dim_head": 32},
    "raw": {"normalized": False, "normalize_input": False},
}


@pytest.mark.parametrize(
    ("size", "reading"),
    [("large", name) for name in READINGS] + [("small", name) for name in [*READINGS][:3]],
)
def test_another_reading_differs_in_what_its_name_says(size: str, reading: str) -> None:
    ours, theirs = (recipe(f"paper_{size}_vocals{end}").recipe for end in ("", f"_{reading}"))
    changes = dict(READINGS[reading])
    params = ours.model.transformer_params
    if "dim_head" in changes:
        params = replace(params, dim_head=changes.pop("dim_head"))
    model = replace(ours.model, transformer_params=params, **changes)
    assert theirs == replace(ours, model=model, reproduces=None)


def test_what_a_reproduction_says_of_the_paper_is_second_hand() -> None:
    text = find_recipe("moises_light", "paper_large_vocals").read_text(encoding="utf-8")
    comments = leaf_comments(text)
    found = recipe("paper_large_vocals").recipe
    assert (found.training.plateau_factor, found.training.plateau_patience) == (0.9, 20)
    assert (found.training.early_stop_epochs, found.training.weight_decay) == (50, 0.01)
    assert (found.data.chunk_seconds, found.data.chunk_grid_seconds) == (9.0, 9.0 * (1 - 0.75))
    assert found.inference.overlap == 0.5
    for name in (
        *("training.plateau_factor", "training.plateau_patience", "training.early_stop_epochs"),
        *("data.chunk_seconds", "data.chunk_grid_seconds", "inference.overlap"),
    ):
        assert comments[name].startswith("second-hand: [D]"), name
    counts = recipe("paper_large_vocals").leaf_sources
    assert counts["paper"] == 1 and counts["second-hand"] == 28


def test_recipes_in_older_weights_have_the_decoder_and_the_normalisation_of_then() -> None:
    found = recipe("community").recipe
    assert {"model.dec_heavy_at", "model.normalize_input"} < Recipe.added.keys()
    names = [name.rpartition(".")[2] for name in Recipe.added]
    lines = to_yaml(found).splitlines(keepends=True)
    older = "".join(line for line in lines if line.split(":")[0].strip() not in names)
    assert recipe_from_text(Recipe, older, "community") == found
    assert recipe_digest(found) == hashlib.sha256(older.encode()).hexdigest()


@pytest.mark.parametrize("name", [name for name in PARAMETERS if name.endswith("_v010")])
def test_weights_of_the_first_release_are_found_by_their_shapes(name: str, tmp_path: Path) -> None:
    preset = configs[name.removesuffix("_v010")]
    ours = asdict(recipe(name).recipe.model)
    assert {key: ours[key] for key in ("architecture", "bn_factor", "edge_kernel_size")} == {
        key: preset[key] for key in ("architecture", "bn_factor", "edge_kernel_size")
    }
    with torch.device("meta"):
        state = MoisesLight(**preset).state_dict()
    weights = WeightsFile(dict(state), (), {})
    found = fitting_recipes(PAPER, tmp_path / "x.pth", weights)
    assert found == [name]
