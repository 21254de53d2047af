"""Training examples whose gains are drawn in decibels, of stems at one level or as recorded."""

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
        if self.config.unit_rms:
            stems = scale_to_unit_rms(stems)
        return stems * draw_gains_db(len(stems), self.config.gain_range_db, rng)


def scale_to_unit_rms(stems: Audio) -> Audio:
    """(stem, channel, sample) -> each stem with a root mean square of one, silence as it is.

    Source: code of SFC.
    """
    power = np.square(stems, dtype=np.float64).mean(axis=(1, 2), keepdims=True)
    return (stems / np.sqrt(power + 1e-12)).astype(np.float32)


def mixed_examples(
    default: ExampleSets, dataset: Dataset, recipe: Recipe, model: WaveformModel, seed: int
) -> ExampleSets:
    """``Mixes`` to train if the recipe sets levels or has gains in decibels, else the default.

    Args:
        default, dataset, recipe, model, seed: as in ``Paper.choose_examples``.
    """
    if recipe.data.gain_range_db == NO_GAIN and not recipe.data.unit_rms:
        return default
    return replace(default, train=Mixes(dataset.train, recipe.data, model.stems, seed))
