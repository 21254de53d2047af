"""A pool of loud segments per stem, from which examples draw their stems one by one.

The pool takes no memory. Segment ``k`` of a stem is a pure function of (tracks, config, seed, stem,
k); example ``n`` draws from segments n to n + size - 1, as if with every example a new segment
replaced the oldest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mss_shared.audio import Audio
from mss_shared.datasets import Track
from mss_shared.recipe_sections import DataConfig, PoolConfig
from mss_shared.training.random_mixes import augment, draw_excerpt, draw_stems, draw_track

# Excerpts tried for one segment; a stem that is loud so rarely has no use for a pool.
_TRIES = 1000
_SEGMENT = 0x5E6  # keeps the seeds of segments apart from those of examples


class SegmentPool:
    """The pool of segments of all stems.

    Args:
        tracks: the training tracks.
        config: the recipe's data section.
        pool: size and floor.
        seed: of the run.

    Raises:
        ValueError: if the pool's size is less than 1.
    """

    def __init__(
        self, tracks: Sequence[Track], config: DataConfig, pool: PoolConfig, seed: int
    ) -> None:
        if pool.size < 1:
            raise ValueError(f"data.pool.size is {pool.size}: give at least 1")
        self.tracks = tuple(tracks)
        self.config = config
        self.together = replace(config, random_mix_prob=0.0)
        self.pool = pool
        self.seed = seed

    def draw(self, example: int, rng: np.random.Generator) -> Audio:
        """The stems of an example: (stem, channel, sample), augmented as the recipe says.

        With probability ``random_mix_prob`` from the pool, otherwise from one position of one
        track.
        """
        if rng.random() >= self.config.random_mix_prob:
            return draw_stems(self.tracks, self.together, rng)
        return np.stack(
            [self._stem(index, example, rng) for index in range(len(self.config.stems))]
        )

    def segment(self, index: int, k: int) -> Audio:
        """Segment ``k`` of the stem at ``index``: (channel, sample), louder than the floor.

        Raises:
            ValueError: if a thousand excerpts are all too quiet.
        """
        rng = np.random.default_rng([self.seed, k, index, _SEGMENT])
        stem = self.config.stems[index]
        for _ in range(_TRIES):
            excerpt = draw_excerpt(
                draw_track(self.tracks, rng), stem, rng.random(), self.config, rng
            )
            if level_db(excerpt) > self.pool.floor_db:
                return excerpt
        raise ValueError(
            f"{_TRIES} excerpts of {stem} are all below {self.pool.floor_db} dB: lower "
            f"data.pool.floor_db, or leave the stem out"
        )

    def _stem(self, index: int, example: int, rng: np.random.Generator) -> Audio:
        size = self.pool.size
        excerpt = augment(self.segment(index, example + int(rng.integers(size))), self.config, rng)
        for probability in self.config.mixup_prob:
            if rng.random() < probability:
                more = self.segment(index, example + int(rng.integers(size)))
                excerpt = excerpt + augment(more, self.config, rng)
        return excerpt


def level_db(excerpt: Audio) -> float:
    """Root mean square of (channel, sample) audio in dB of full scale; -inf for silence."""
    power = float(np.square(excerpt, dtype=np.float64).mean())
    return 10.0 * float(np.log10(power)) if power else -np.inf
