from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bs_roformer import configs
from bs_roformer.config import read_arguments
from bs_roformer.recipe import Recipe
from mss_shared.leaf_sources import leaf_comments
from mss_shared.recipe import LoadedRecipe, find_recipe, load_recipe
from mss_shared.recipe_sections import PoolConfig

PRESETS = {  # recipe -> preset of the same network
    **{f"paper_bs_l{n}_{s}": f"paper_bs_l{n}" for n in (6, 9, 12) for s in ("vocals", "bass")},
    "paper_mel_l6_drums": "paper_mel_l6",
    "paper_mel_l12_vocals": "paper_mel_l12",
    "community_4stem": "zfturbo_4stem",
    "viperx_vocals": "viperx_vocals",
    "viperx_other": "viperx_other",
    "viperx_mel_vocals": "viperx_mel_vocals",
    "kim_mel_vocals": "kim_mel_vocals",
}
# Samples of a chunk as the configurations in circulation write them.
CHUNKS = {"community_4stem": 485_100, "viperx_other": 131_584, "kim_mel_vocals": 352_800}


def recipe(name: str) -> LoadedRecipe[Recipe]:
    return load_recipe(Recipe, find_recipe("bs_roformer", name))


@pytest.mark.parametrize("name", PRESETS)
def test_a_recipe_builds_the_network_of_its_preset(name: str) -> None:
    found = recipe(name).recipe.model
    preset, _ = read_arguments(found.kind, configs[PRESETS[name]])
    built, _ = read_arguments(found.kind, asdict(found))
    assert built == found
    assert replace(preset, stems=found.stems) == found


@pytest.mark.parametrize("stem", ["vocals", "bass", "drums", "other"])
@pytest.mark.parametrize("size", ["bs_l6", "bs_l9", "mel_l6"])
def test_the_papers_recipes_estimate_one_stem_each(size: str, stem: str) -> None:
    found = recipe(f"paper_{size}_{stem}").recipe
    assert found.model.stems == (stem,)
    assert found.model.layout == "paper"
    vocals = recipe(f"paper_{size}_vocals").recipe
    assert replace(found, model=vocals.model) == vocals
    assert replace(found.model, stems=("vocals",)) == vocals.model


def test_the_papers_training_is_that_of_its_text() -> None:
    found = recipe("paper_bs_l12_drums").recipe
    training = found.training
    assert (training.batch, training.lr, training.ema_decay) == (128, 5e-4, 0.999)
    assert (training.schedule, training.lr_factor, training.decay_steps) == ("step", 0.9, 40_000)
    assert training.activation_checkpointing
    assert found.data.silent_stem_prob == 0.1
    assert found.data.gain_range_db == (-3.0, 3.0)
    assert found.data.pool == PoolConfig(512, -50.0)
    assert recipe("paper_bs_l6_drums").recipe.training.batch == 64


@pytest.mark.parametrize("name", CHUNKS)
def test_chunks_in_seconds_are_those_in_samples(name: str) -> None:
    found = recipe(name).recipe
    assert round(found.data.chunk_seconds * 44_100) == CHUNKS[name]
    assert round(found.inference.chunk_seconds * 44_100) == CHUNKS[name]


def test_the_demos_differ_in_their_bands_alone() -> None:
    split, mel = recipe("demo").recipe, recipe("demo_mel").recipe
    assert replace(mel, model=split.model) == split
    changed = replace(
        mel.model,
        kind="bs",
        freqs_per_bands=split.model.freqs_per_bands,
        num_bands=None,
        mask_estimator_depth=2,  # one hidden layer, counted the other way
    )
    assert changed == split.model


def changed(path: Path, old: str, new: str) -> Path:
    """The demo recipe with one line changed, in a file of its own."""
    text = find_recipe("bs_roformer", "demo").read_text(encoding="utf-8")
    assert old in text
    (path / "demo.yaml").write_text(text.replace(old, new), encoding="utf-8")
    return path / "demo.yaml"


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("    size: 512", "    sizes: 512", "unknown key data.pool.sizes: choose from size, floor"),
        ("    floor_db: -50.0", "    # floor_db: -50.0", "lacks data.pool.floor_db"),
        ("effects: null", "effects: 3", "data.effects must be a mapping"),
    ],
)
def test_a_section_that_may_be_null_is_complete_if_it_is_there(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load_recipe(Recipe, changed(tmp_path, old, new))


def test_values_of_such_a_section_can_be_changed() -> None:
    path = find_recipe("bs_roformer", "demo")
    found = load_recipe(Recipe, path, ["--recipe.data.pool.size=8"])
    assert found.recipe.data.pool == PoolConfig(8, -50.0)
    assert not found.verbatim
    with pytest.raises(ValueError, match="--recipe.data.pool is a section, not a value"):
        load_recipe(Recipe, path, ["--recipe.data.pool=null"])
    with pytest.raises(ValueError, match="'sizes' is unknown: choose from size, floor_db"):
        load_recipe(Recipe, path, ["--recipe.data.pool.sizes=8"])


def sources(name: str) -> dict[str, str]:
    """Leaf -> its source comment; of the two lists of stems, the model's."""
    comments = leaf_comments(find_recipe("bs_roformer", name).read_text(encoding="utf-8"))
    return {leaf.rpartition(".")[2]: comment for leaf, comment in comments.items()}


def test_the_communitys_effects_are_those_of_its_yaml() -> None:
    effects = recipe("community_4stem").recipe.data.effects
    assert effects is not None
    assert effects.distortion_prob == (0.1, 0.1, 0.0, 0.1)
    found = sources("community_4stem")
    stated = [name for name in asdict(effects) if found[name].startswith("code")]
    assert len(stated) == len(asdict(effects)) - 1
    assert found["mp3_quality"] == "ours: unused"


@pytest.mark.parametrize(
    "name", ["viperx_vocals", "viperx_other", "viperx_mel_vocals", "kim_mel_vocals"]
)
def test_the_four_stems_of_a_public_model_of_one_are_ours(name: str) -> None:
    text = find_recipe("bs_roformer", name).read_text(encoding="utf-8")
    assert text.count("  stems: [vocals, drums, bass, other]  # ours: MUSDB has four;") == 1


@pytest.mark.parametrize("name", ["vocals", "bass", "drums", "other", "l12"])
def test_no_training_of_mel_bands_is_said_to_be_in_their_paper(name: str) -> None:
    found = sources("paper_mel_l12_vocals" if name == "l12" else f"paper_mel_l6_{name}")
    training = asdict(recipe("paper_mel_l6_vocals").recipe.training)
    assert len(training) == 19
    assert all(found[leaf].startswith("ours") for leaf in training)
    assert {found[leaf] for leaf in ("size", "attn_dropout", "window", "multi_stft_hop_size")} == {
        "ours: as BS-RoFormer's"
    }
    assert found["num_bands"].startswith("paper")


def test_kims_batch_is_four_passes_of_four_in_an_epoch_of_a_thousand_passes() -> None:
    found = recipe("kim_mel_vocals").recipe
    assert (found.training.batch, found.data.examples_per_epoch) == (4 * 4, 1000 * 4)
