"""Recipes say what the names say, and what the authors' trainer was asked for."""

import functools
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from lasaft import Separator
from lasaft.config import ModelConfig
from lasaft.recipe import Recipe
from lasaft.variants import PRESETS, read_arguments
from mss_shared.checkpoints.published import read_published
from mss_shared.recipe import find_recipe, load_recipe, shipped_recipes
from mss_shared.separation.overlap_add import separate

NETWORKS = {  # recipe -> (name of the network, changes)
    "paper_film": ("CUNET_TFC_FiLM", {}),
    "paper_film_tdf": ("CUNET_TFC_FiLM_TDF", {}),
    "paper_film_lasaft": ("CUNET_TFC_FiLM_LaSAFT", {}),
    "paper_gpocm": ("CUNET_TFC_GPoCM", {}),
    "paper_gpocm_tdf": ("CUNET_TFC_GPoCM_TDF", {}),
    "paper_gpocm_lasaft": ("CUNET_TFC_GPoCM_LaSAFT", {}),
    **{f"paper_dedicated_{s}": ("tfc_tdf_net", {"stems": [s]}) for s in ("vocals", "bass")},
    **{f"large_{seed}": ("lasaft_net_large", {}) for seed in (2019, 2020, 2021)},
    "readme": ("CUNET_TFC_GPoCM_LaSAFT", {"tfc_tdf_bias": True}),
    "lightsaft_net": ("lightsaft_net", {}),
    **{f"lightsaft_{s}": (f"lightsaft_{s}", {}) for s in ("small_2020", "mdx_7blocks")},
    **{name: (name, {}) for name in ("lightsaft_mdx_medium", "lightsaft_paper")},
    "lightsaft_advanced": ("lightsaft_advanced", {}),
}


@functools.cache
def recipe(name: str) -> Recipe:
    return load_recipe(Recipe, find_recipe("lasaft", name)).recipe


@pytest.mark.parametrize("name", NETWORKS)
def test_a_recipe_builds_the_network_of_its_name(name: str) -> None:
    variant, changes = NETWORKS[name]
    assert recipe(name).model == read_arguments(PRESETS[variant], changes)


def test_examples_are_as_long_as_the_window() -> None:
    names = [path.stem for path in shipped_recipes("lasaft")]
    assert len(names) == 22
    for name in names:
        found = recipe(name)
        assert round(found.data.chunk_seconds * 44_100) == found.model.window_samples
        gains = (0.25, 1.25) if name == "musdb18_7s" else (1.0, 1.0)  # the same for seven papers
        assert found.data.random_mix_prob == 1.0 and found.data.gain_range == gains


def test_the_papers_window_and_trims_are_those_of_the_sizes() -> None:
    model = recipe("paper_gpocm_lasaft").model
    assert (model.window_samples, model.trim_samples) == (130_048, 5_120)
    assert model.useful_samples == 119_808


def test_the_ablation_is_trained_as_asked_for() -> None:
    found = recipe("paper_gpocm_lasaft")
    training = found.training
    assert (training.train_loss, training.val_loss) == ("spec_mse", "raw_l1")
    assert (training.optimizer, training.lr, training.schedule) == ("adam", 1e-3, "none")
    assert (training.batch, training.precision, training.seed) == (8, "16-mixed", 2020)
    assert (training.early_stop_epochs, training.keep) == (10, "best")
    assert found.data.examples_per_epoch == 0
    for name in ("paper_film", "paper_film_tdf", "paper_film_lasaft", "paper_gpocm"):
        assert replace(recipe(name), model=found.model, reproduces=found.reproduces) == found


def test_the_large_runs_differ_in_their_seed_alone() -> None:
    first = recipe("large_2019")
    training = first.training
    assert (training.batch, training.lr, training.schedule) == (16, 1e-4, "plateau")
    assert (training.plateau_factor, training.plateau_patience) == (0.5, 50)
    for seed in (2020, 2021):
        other = recipe(f"large_{seed}")
        assert replace(other, training=replace(other.training, seed=2019)) == first


def test_a_plateau_that_early_stopping_never_lets_come_is_said_to_be_so() -> None:
    said = []
    for path in shipped_recipes("lasaft"):
        training = recipe(path.stem).training
        stop = training.early_stop_epochs
        if training.schedule == "plateau" and stop and stop <= training.plateau_patience:
            assert f"with early_stop_epochs {stop} it never acts" in path.read_text("utf-8")
            said.append(path.stem)
    assert said == ["large_2019", "large_2020", "large_2021"]


def test_the_old_readme_waits_for_a_hundred_epochs() -> None:
    training = recipe("readme").training
    assert (training.early_stop_epochs, training.min_epochs) == (50, 100)
    paper = recipe("paper_gpocm_lasaft")
    assert replace(training, early_stop_epochs=10, min_epochs=1) == paper.training
    assert replace(recipe("readme").model, tdf_bias=False) == paper.model


def test_the_challenges_nets_have_their_rates() -> None:
    rates = {"small_2020": 5e-4, "mdx_7blocks": 2e-3, "mdx_medium": 1e-3}
    for name, rate in rates.items():
        assert recipe(f"lightsaft_{name}").training.lr == rate
        assert recipe(f"lightsaft_{name}").training.batch == 64


def test_the_advanced_net_differs_in_its_encoder_and_embedding_alone() -> None:
    paper, advanced = recipe("lightsaft_paper"), recipe("lightsaft_advanced")
    assert (paper.model.num_tdfs, paper.model.dk) == (16, 24)
    model = replace(paper.model, encoder_block="TFC_TDF", embedding_dim=32)
    assert advanced == replace(paper, model=model)
    sizes = []
    for found in (paper, advanced):
        with torch.device("meta"), pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.nn.init, "xavier_normal_", lambda parameter: parameter)
            network = Separator(found.model).spec2spec
        sizes.append(sum(p.numel() for p in network.parameters()))
    assert sizes == [3_851_644, 2_213_236]  # the text: 3.8 M and 2 M


def test_published_names_lead_to_recipes() -> None:
    published = read_published("lasaft")
    assert [*published] == [
        *(f"lasaft_large_{n}" for n in (2019, 2020, 2021)),
        "lightsaft_small_2020",
    ]
    for name, (entry,) in published.items():
        assert entry.recipe is not None and recipe(entry.recipe)
        assert entry.file_name == f"{name}.ckpt"
    sizes = [entry.bytes for entries in published.values() for entry in entries]
    assert sizes == [378_945_836, 378_945_635, 378_945_571, None]


def test_a_recipes_model_section_is_the_keywords_of_its_network() -> None:
    found = recipe("paper_film").model
    assert read_arguments({}, asdict(found)) == found


def test_the_readme_has_a_row_for_every_flag_of_the_old_command_line() -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    flags = """problem_name model mode run_id log musdb_root musdb_is_wav filed_mode target_name
        target_names gpus distributed_backend sync_batchnorm precision batch_size num_workers
        pin_memory dev_mode save_top_k save_weights_only patience min_epochs max_epochs epoch
        train_loss val_loss optimizer lr n_fft hop_length num_frame spec_type spec_est_mode
        first_conv_activation last_activation input_channels control_vector_type
        control_input_dim embedding_dim condition_to n_blocks internal_channels
        n_internal_layers kernel_size_t kernel_size_f tfc_tdf_bias num_tdfs dk control_n_layer
        control_type pocm_type pocm_norm film_type gamma_activation beta_activation seed
        t_down_layers f_down_layers bn_factor min_bn_units bias tdf_activation tdc_activation
        tfc_activation tfc_tdf_activation""".split()
    assert len(flags) == 65
    missing = [flag for flag in flags if f"`--{flag}`" not in text]
    assert not missing


def test_the_command_lists_the_recipes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lasaft", "--help"], capture_output=True, text=True, check=True
    )
    assert "paper_gpocm_lasaft" in done.stdout and "large_2021" in done.stdout


def step_samples(model: ModelConfig) -> int:
    """From one window's useful part to the next one's."""
    return int(model.useful_samples * (1.0 - model.window_overlap))


@pytest.mark.parametrize("path", shipped_recipes("lasaft"), ids=lambda path: path.stem)
def test_chunks_lie_on_the_steps_of_the_windows_and_hear_all_of_them(path: Path) -> None:
    found = recipe(path.stem)
    step = step_samples(found.model)
    size, context = (
        round(seconds * found.model.sample_rate)
        for seconds in (found.inference.chunk_seconds, found.inference.context_seconds)
    )
    assert size % step == context % step == 0 and size > 2 * context
    assert context >= step + found.model.trim_samples


def test_a_song_in_chunks_has_the_windows_of_the_song_at_once() -> None:
    found = recipe("demo")
    step = step_samples(found.model)
    torch.manual_seed(0)
    model = Separator(found.model).eval()
    song = 0.1 * torch.randn(2, 20 * step + 13)
    chunks = replace(found.inference, chunk_seconds=12 * step / found.model.sample_rate)
    in_chunks = separate(model, song, chunks)
    at_once = separate(model, song, replace(chunks, chunk_seconds=0.0))
    difference = (in_chunks - at_once).abs()
    peak = at_once.abs().max()
    assert difference[..., step:-step].max() <= 1e-6 * peak
    assert difference.max() < 0.2 * peak  # its two ends have one window more
