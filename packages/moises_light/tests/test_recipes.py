from dataclasses import replace

import pytest

from moises_light.paper import PAPER
from moises_light.recipe import Recipe
from mss_shared.recipe import LoadedRecipe, find_recipe, load_recipe

# Counts of the facts known of the 0.1.5 architecture: four stems, one stem, one narrowing by 2.
PARAMETERS = {
    "paper_large": 5_451_216,
    "paper_small": 2_558_768,
    "fullband_large": 5_477_844,
    "fullband_small": 2_805_796,
    "fullband_large_wide": 9_704_844,
    "fullband_small_wide": 4_323_976,
    "community": 5_779_216,
    "paper_large_vocals": 5_451_136,
    "paper_large_drums": 5_451_136,
    "paper_large_bass": 6_435_136,
    "paper_large_other": 5_451_136,
    "paper_small_vocals": 2_558_688,
    "paper_small_drums": 2_558_688,
    "paper_small_other": 2_558_688,
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
    assert found.model.bn_factor == (2 if stem == "bass" else 8)
    assert found.model.architecture == "0.1.5"
    assert found.reproduces == f"moises_light/paper_{size}"


def test_the_papers_recipes_differ_in_the_model_alone() -> None:
    vocals, drums = recipe("paper_large_vocals").recipe, recipe("paper_large_drums").recipe
    bass = recipe("paper_large_bass").recipe
    for other in (drums, bass):
        assert replace(other, model=vocals.model) == vocals
    assert replace(drums.model, sources=("vocals",)) == vocals.model
