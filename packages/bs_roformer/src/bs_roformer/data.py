"""Training examples: the paper's pool and gains in decibels, the community's effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bs_roformer.model import Roformer
from bs_roformer.recipe import DataConfig, Recipe
from mss_shared.audio import Audio
from mss_shared.datasets import Dataset, Track
from mss_shared.interfaces import ExampleSets
from mss_shared.training import RandomMixes, SegmentPool, affect, draw_gains_db


class Mixes(RandomMixes):
    """Random mixes, drawn from a pool or altered by effects if the recipe has them.

    Args:
        tracks, targets, seed: as in ``RandomMixes``.
        config: the recipe's data section.
    """

    def __init__(
        self, tracks: Sequence[Track], config: DataConfig, targets: Sequence[str], seed: int
    ) -> None:
        super().__init__(tracks, config, targets, seed)
        self.pool = (
            None if config.pool is None else SegmentPool(self.tracks, config, config.pool, seed)
        )
        self.effects = config.effects
        self.gain_db = config.gain_range_db
        if self.effects is not None:
            self.effects.check(config.stems)

    def draw(self, index: int, rng: np.random.Generator) -> Audio:
        """Example ``index``, (stem, channel, sample) with the stems of ``config.stems``."""
        stems = super().draw(index, rng) if self.pool is None else self.pool.draw(index, rng)
        stems = stems * draw_gains_db(len(stems), self.gain_db, rng)
        if self.effects is None:
            return stems
        rate = self.tracks[0].info.sample_rate
        return np.stack([affect(stem, n, self.effects, rate, rng) for n, stem in enumerate(stems)])


def mixed_examples(
    default: ExampleSets, dataset: Dataset, recipe: Recipe, model: Roformer, seed: int
) -> ExampleSets:
    """``Mixes`` to train, every track unaltered to validate.

    Args:
        default, dataset, recipe, model, seed: as in ``Paper.choose_examples``.
    """
    return replace(default, train=Mixes(dataset.train, recipe.data, model.stems, seed))
