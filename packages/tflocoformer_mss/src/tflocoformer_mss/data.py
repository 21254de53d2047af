"""Training examples whose gains are drawn in decibels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mss_shared.audio import Audio
from mss_shared.datasets import Dataset
from mss_shared.interfaces import ExampleSets
from mss_shared.training import RandomMixes, draw_gains_db
from tflocoformer_mss.model import WaveformModel
from tflocoformer_mss.recipe import NO_GAIN, DataConfig, Recipe


class Mixes(RandomMixes):
    """Random mixes whose stems have gains that are uniform in decibels; arguments as there."""

    config: DataConfig

    def draw(self, index: int, rng: np.random.Generator) -> Audio:
        """Example ``index``, (stem, channel, sample) with the stems of ``config.stems``."""
        stems = super().draw(index, rng)
        return stems * draw_gains_db(len(stems), self.config.gain_range_db, rng)


def mixed_examples(
    default: ExampleSets, dataset: Dataset, recipe: Recipe, model: WaveformModel, seed: int
) -> ExampleSets:
    """``Mixes`` to train if the recipe has gains in decibels, else the default.

    Args:
        default, dataset, recipe, model, seed: as in ``Paper.choose_examples``.
    """
    if recipe.data.gain_range_db == NO_GAIN:
        return default
    return replace(default, train=Mixes(dataset.train, recipe.data, model.stems, seed))
