from dataclasses import replace

import pytest

from mss_shared.recipe import LoadedRecipe, find_recipe, load_recipe
from open_unmix.paper import PAPER
from open_unmix.recipe import Recipe

SONG = ("vocals", "drums", "bass", "other")
ROWS = {"umx": 8_893_348, "umxhq": 8_893_348, "umxl": 28_257_188}


def recipe(name: str) -> LoadedRecipe[Recipe]:
    return load_recipe(Recipe, find_recipe("open_unmix", name))


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("target", SONG)
def test_a_recipe_builds_one_network_of_the_published_count(row: str, target: str) -> None:
    found = recipe(f"{row}_{target}").recipe
    model = PAPER.build_model(found)
    assert model.stems == (target,)
    assert sum(p.numel() for p in model.parameters()) == ROWS[row]
    assert found.reproduces == f"open_unmix/{row}"


@pytest.mark.parametrize("target", ["speech", "noise"])
def test_the_recipes_for_speech_build_the_published_count(target: str) -> None:
    model = PAPER.build_model(recipe(f"umxse_{target}").recipe)
    assert sum(p.numel() for p in model.parameters()) == 1_583_622
    assert (model.sample_rate, model.channels) == (16_000, 1)


@pytest.mark.parametrize("row", ROWS)
def test_the_recipes_of_a_row_differ_in_the_target_and_in_the_recorded_run(row: str) -> None:
    first, *rest = (recipe(f"{row}_{target}").recipe for target in SONG)
    for other in rest:
        target = other.model.targets[0]
        stems = (target, "rest") if row == "umxl" else SONG
        assert other.data == replace(first.data, stems=stems)
        assert other.model == replace(first.model, targets=(target,))
        if row == "umxhq":  # the record of its vocals alone is known
            recorded = replace(other.training, seed=44, early_stop_epochs=250)
            assert (other.training.seed, other.training.early_stop_epochs) == (42, 140)
            assert recorded == first.training
        else:
            assert other.training == first.training


def test_an_epoch_is_64_samples_of_each_of_86_tracks_in_344_batches() -> None:
    found = recipe("umxhq_vocals").recipe
    assert found.data.examples_per_epoch == 64 * 86 == 344 * found.training.batch


@pytest.mark.parametrize("row", ["umx", "umxhq"])
def test_stems_are_mixed_at_random_at_gains_and_channels_of_their_own(row: str) -> None:
    data = recipe(f"{row}_other").recipe.data
    assert data.random_mix_prob == 1.0
    assert (data.gain_range, data.channel_swap_prob) == ((0.25, 1.25), 0.5)


@pytest.mark.parametrize("target", SONG)
def test_umxl_has_the_settings_of_the_authors_records(target: str) -> None:
    found = recipe(f"umxl_{target}").recipe
    data, model, training = found.data, found.model, found.training
    assert (data.stems, data.chunk_seconds) == ((target, "rest"), 6.0)
    assert (data.random_mix_prob, data.gain_range, data.channel_swap_prob) == (0, (1, 1), 0)
    assert (model.hidden_size, model.bandwidth_hz, model.n_fft) == (1024, 16_000, 4096)
    assert (training.batch, training.epochs, training.early_stop_epochs) == (16, 500, 60)
    assert (training.lr, training.weight_decay, training.seed) == (1e-3, 1e-5, 42)
    assert (training.plateau_factor, training.plateau_patience) == (0.3, 30)


def test_the_rows_of_2019_are_filtered_as_they_were_scored() -> None:
    for row in ("umx", "umxhq"):
        model = recipe(f"{row}_drums").recipe.model
        assert (model.pipeline, model.niter, model.softmask) == ("1.0.0", 1, False)
    assert recipe("umxl_drums").recipe.model.pipeline == "1.3.0"


def test_what_is_published_of_a_recipe_is_not_ours_and_the_rest_is() -> None:
    assert recipe("umxhq_vocals").leaf_sources["ours"] == 0
    assert recipe("umxl_vocals").leaf_sources["ours"] == 2
