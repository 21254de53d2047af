from dataclasses import asdict, replace
from typing import Any

import pytest
import torch

from mss_shared.recipe import LoadedRecipe, find_recipe, load_recipe, shipped_recipes
from tflocoformer_mss import (
    BSLocoformerStack,
    TFLocoformerMSS,
    TFLocoformerSeparator,
    TussModel,
    configs,
)
from tflocoformer_mss.config import ModelConfig
from tflocoformer_mss.losses import TERMS, combine
from tflocoformer_mss.paper import PAPER
from tflocoformer_mss.recipe import Recipe

MUSIC = ("musdb18_small", "musdb18", "musdb18_xlarge")
SPEECH = ("wsj0_2mix", "librimix", "whamr", "whamr_small", "whamr_nope", "dns_ins20")
UNIFIED = {  # recipe -> preset
    "bs_musdb18hq": "musdb18_conventional_medium",
    "bs_musdb18hq_48k": "musdb18_conventional_medium",
    "tuss_musdb18hq": "musdb18_tuss_medium",
    "tuss_musdb18hq_48k": "musdb18_tuss_medium",
    "tuss_medium": "tuss_medium",
    "tuss_large": "tuss_large",
}
SFC = "bs_musdb18hq_sfc"
PREVIEWS = {"musdb18_7s", "musdb18_7s_bs"}


def recipe(name: str) -> LoadedRecipe[Recipe]:
    return load_recipe(Recipe, find_recipe("tflocoformer_mss", name))


def rate(preset: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """The preset at the recipe's sample rate, with its bands."""
    return {**preset, "sample_rate": recipe.model.sample_rate}


def test_there_is_a_recipe_for_each_row() -> None:
    names = {path.stem for path in shipped_recipes("tflocoformer_mss")}
    assert names == {"demo", "musdb18_small_nope", SFC, *PREVIEWS, *MUSIC, *SPEECH, *UNIFIED}


@pytest.mark.parametrize("name", [*MUSIC, *SPEECH, *UNIFIED])
def test_a_recipe_builds_the_separator_of_its_preset(name: str) -> None:
    """Same keys and shapes, and where the constructor keeps no shape, the same arguments."""
    found = recipe(name).recipe
    preset = configs[UNIFIED.get(name, name)]
    kinds: dict[str, Any] = {"tuss": TussModel, "stack": BSLocoformerStack}
    kind = kinds.get(found.model.kind, TFLocoformerMSS if name in MUSIC else TFLocoformerSeparator)
    arguments = rate(preset, found) if name in UNIFIED else preset
    with torch.device("meta"):
        ours, theirs = PAPER.build_model(found).separator, kind(**arguments)
    shapes = [{k: v.shape for k, v in each.state_dict().items()} for each in (ours, theirs)]
    assert shapes[0] == shapes[1]
    if name not in UNIFIED:
        sizes = {key: getattr(found.model, key) for key in preset if hasattr(found.model, key)}
        assert len(sizes) >= 15
        assert {k: [*v] if isinstance(v, tuple) else v for k, v in sizes.items()} == {
            k: preset[k] for k in sizes
        }


@pytest.mark.parametrize("name", UNIFIED)
def test_a_unified_recipe_has_the_blocks_of_its_preset(name: str) -> None:
    model, preset = recipe(name).recipe.model, configs[UNIFIED[name]]
    names = ("config_first_block", "config_second_block")
    if model.kind == "tuss":
        names = ("conf_cross_prompt_module", "conf_cond_tse_module")
        assert model.prompts == tuple(preset["prompts"])
    assert model.two_stacks() == tuple(preset[key] for key in names)


# Seconds, batch over all passes, epochs, rate, dropout, patience and cooldown of the plateau.
VALUES = {
    "musdb18_small": (5.0, 24, 150, 1e-3, 0.1, 5, 3),
    "musdb18": (10.0, 12, 300, 5e-4, 0.1, 8, 5),
    "musdb18_xlarge": (15.0, 2 * 8, 400, 3e-4, 0.15, 10, 8),
}
# Weights of SI-SDR, L1 and the spectral error.
WEIGHTS = {
    "musdb18_small": (1.0, 0.0, 0.0),
    "musdb18": (1.0, 0.1, 0.1),
    "musdb18_xlarge": (1.0, 0.1, 0.15),
}


@pytest.mark.parametrize("name", MUSIC)
def test_the_music_recipes_have_the_values_of_their_configurations(name: str) -> None:
    found = recipe(name).recipe
    training = found.training
    assert VALUES[name] == (
        found.data.chunk_seconds,
        training.batch,
        training.epochs,
        training.lr,
        found.model.dropout,
        training.plateau_patience,
        training.plateau_cooldown,
    )
    weights = (training.si_sdr_weight, training.l1_weight, training.spectral_weight)
    assert weights == WEIGHTS[name]
    assert (training.clip_norm, training.precision) == (5.0, "bf16-mixed")
    assert found.data.gain_range == (0.7, 1.3)
    augmentation = (
        found.data.channel_swap_prob,
        found.data.polarity_prob,
        found.data.random_mix_prob,
    )
    assert augmentation == (0.5, 0.1, 0.0)
    assert found.model.channels == 2 and not found.model.masking


def test_the_largest_music_recipe_warms_up_and_stops_early() -> None:
    training = recipe("musdb18_xlarge").recipe.training
    assert (training.warmup_steps, training.warmup_start_lr) == (1000, 1e-6)
    assert training.fused and training.tf32 and training.cudnn_benchmark
    assert training.early_stop_epochs == 20


def test_the_recipes_without_positions_differ_in_that_alone() -> None:
    for plain, nope in (("musdb18_small", "musdb18_small_nope"), ("whamr", "whamr_nope")):
        one, other = recipe(plain).recipe, recipe(nope).recipe
        assert other.model.pos_enc == "nope"
        assert replace(other.model, pos_enc="rope") == one.model
    small = recipe("musdb18_small").recipe
    assert replace(recipe("musdb18_small_nope").recipe, model=small.model) == small


@pytest.mark.parametrize("name", SPEECH)
def test_the_speech_recipes_have_the_training_of_their_papers(name: str) -> None:
    found = recipe(name).recipe
    training = found.training
    assert (training.batch, training.lr, training.warmup_steps) == (4, 1e-3, 4000)
    assert (training.plateau_patience, training.early_stop_epochs) == (3, 10)
    assert found.data.chunk_seconds == 4.0 and found.model.normalize_variance
    speakers = ("speech",) if name == "dns_ins20" else ("speaker1", "speaker2")
    assert found.model.stems == speakers
    assert training.permute is (len(speakers) == 2)
    assert found.model.sample_rate == (16_000 if name == "dns_ins20" else 8_000)


def test_the_speech_recipes_alone_start_from_espnets_weights() -> None:
    found = {path.stem: load_recipe(Recipe, path) for path in shipped_recipes("tflocoformer_mss")}
    started = {name for name, each in found.items() if each.recipe.model.init == "xavier_uniform"}
    assert started == {*SPEECH}


@pytest.mark.parametrize("name", UNIFIED)
def test_the_unified_recipes_have_the_training_of_their_paper(name: str) -> None:
    found = recipe(name).recipe
    training = found.training
    assert (training.lr, training.batch) == (1e-3, 2 if name == "tuss_large" else 4)
    assert training.seed == 20_240_618
    assert found.data.examples_per_epoch == 2500 * training.batch
    assert (training.warmup_steps, training.plateau_hold_epochs) == (10_000, 75)
    assert training.clip_norm == 5.0
    assert found.data.random_mix_prob == 1.0 and found.data.chunk_seconds == 6.0
    assert (found.inference.chunk_seconds, found.inference.overlap) == (6.0, 0.0)
    assert (found.data.gain_range, found.data.gain_range_db) == ((1.0, 1.0), (-10.0, 0.0))
    assert (found.model.window, found.model.padding) == ("sqrt_hann", "constant")


@pytest.mark.parametrize("name", ["bs_musdb18hq", "tuss_musdb18hq"])
def test_the_48_khz_recipes_differ_in_the_rate_alone(name: str) -> None:
    ours, theirs = recipe(name).recipe, recipe(f"{name}_48k").recipe
    assert (ours.model.sample_rate, theirs.model.sample_rate) == (44_100, 48_000)
    assert replace(theirs, model=ours.model) == ours
    assert replace(theirs.model, sample_rate=44_100) == ours.model


def test_the_small_band_split_recipe_has_the_values_of_its_configuration() -> None:
    found = recipe(SFC).recipe
    training, decay = found.training, found.training.step_decay
    assert (found.data.examples_per_epoch, training.epochs) == (110 * 4, 900)
    assert (training.batch, found.data.chunk_seconds, found.data.silent_stem_prob) == (4, 6.0, 0.1)
    assert (training.ema_decay, training.warmup_steps, training.lr) == (0.999, 5_000, 1e-3)
    assert (found.inference.chunk_seconds, found.inference.overlap) == (12.0, 0.5)
    assert (found.model.sample_rate, found.model.channels, found.model.pos_enc) == (
        *(44_100, 2),
        "nope",
    )
    # 175 decays between the 550th epoch of 110 steps and the last.
    assert decay is not None and decay.at(60_719) == 1.0 and decay.at(60_720) == 0.98
    assert decay.at(99_000) == decay.at(200_000) == pytest.approx(0.98**175)
    with torch.device("meta"):
        model = PAPER.build_model(found)
    assert sum(p.numel() for p in model.parameters()) == 29_544_552


def test_the_demo_has_the_bands_of_the_stand_alone_form_in_stereo() -> None:
    model = recipe("demo").recipe.model
    assert (model.kind, model.channels, model.n_fft) == ("bs", 2, 2048)
    assert isinstance(ModelConfig(**asdict(model)), ModelConfig)
    built = PAPER.build_model(recipe("demo").recipe)
    assert len(built.separator.band_split_module.sizes) == 62


@pytest.mark.parametrize("name", [*UNIFIED, *SPEECH])
def test_where_the_authors_take_the_mean_over_stems_the_weights_make_it_one(name: str) -> None:
    """The clipped norm depends on it; the DNS recipe has one stem."""
    found = recipe(name).recipe
    term = {"dns_ins20": "tfd"}.get(name, "snr" if name in UNIFIED else "si_sdr")
    weights = {each: getattr(found.training, f"{each}_weight") for each in TERMS}
    torch.manual_seed(0)
    estimate, reference = torch.randn(2, 3, len(found.model.stems), 1, 1_000)
    total, _ = combine(estimate, reference, weights)
    assert total.item() == pytest.approx(TERMS[term](estimate, reference).mean().item(), rel=1e-6)
