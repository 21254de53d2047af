"""Levels of training examples."""

from pathlib import Path
from typing import Any

import numpy as np

from mss_shared.datasets import open_dataset
from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.testing import make_dataset
from tflocoformer_mss.data import Mixes, scale_to_unit_rms
from tflocoformer_mss.recipe import Recipe


def decibels(stems: Any) -> Any:
    return 10.0 * np.log10(np.square(stems.numpy()).mean(axis=(1, 2)) + 1e-30)


def test_each_stem_is_scaled_to_one_level_and_silence_stays_silent() -> None:
    stems = np.stack([np.full((2, 8), 0.25), np.zeros((2, 8))]).astype(np.float32)
    scaled = scale_to_unit_rms(stems)
    assert np.allclose(scaled[0], 1.0, atol=1e-5) and not scaled[1].any()
    assert scaled.dtype == np.float32


def test_the_stems_of_the_small_band_split_recipe_lie_within_ten_decibels_of_one_level(
    tmp_path: Path,
) -> None:
    config = load_recipe(Recipe, find_recipe("tflocoformer_mss", "bs_musdb18hq_sfc")).recipe.data
    tracks = open_dataset(str(make_dataset(tmp_path, config.stems, seconds=0.5))).train
    mixes = Mixes(tracks, config, config.stems, seed=0)
    levels = np.concatenate([decibels(mixes[index]["stems"]) for index in range(40)])
    silent = levels < -100.0
    assert 4 <= silent.sum() <= 32  # a tenth of 160
    assert abs(levels[~silent]).max() < 10.1
    assert levels[~silent].std() > 4.0  # of a uniform distribution over 20 dB: 5.8
