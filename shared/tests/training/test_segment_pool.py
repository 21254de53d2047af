"""The pool: segments are loud, first in and first out, and pure in their number."""

import numpy as np
import pytest
from tiny_songs import RATE, make_track, plain_data

from mss_shared.datasets import Track
from mss_shared.recipe_sections import PoolConfig
from mss_shared.training.segment_pool import SegmentPool, level_db

STEMS = ("vocals", "drums")


def step(level: float) -> np.ndarray:
    """Half a second of silence, then half a second of one level."""
    sound = np.zeros((2, RATE), np.float32)
    sound[:, RATE // 2 :] = level
    return sound


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> list[Track]:
    """Eight songs, silent at first, whose level tells the song; vocals of the first are silent."""
    root = tmp_path_factory.mktemp("songs")
    return [
        make_track(root / f"song{n}", {"vocals": step(n / 16), "drums": step((n + 1) / 32)})
        for n in range(8)
    ]


def pool(
    songs: list[Track], size: int = 64, floor_db: float = -50.0, **changes: object
) -> SegmentPool:
    data = plain_data(stems=STEMS, **{"random_mix_prob": 1.0, **changes})
    return SegmentPool(songs, data, PoolConfig(size, floor_db), seed=3)


def test_the_level_of_a_constant_is_its_decibels() -> None:
    assert level_db(np.full((2, 100), 0.1, np.float32)) == pytest.approx(-20.0, abs=1e-6)
    assert level_db(np.zeros((2, 100), np.float32)) == -np.inf


def test_every_segment_is_louder_than_the_floor(songs: list[Track]) -> None:
    levels = [level_db(pool(songs, floor_db=-20.0).segment(0, n)) for n in range(100)]
    assert min(levels) > -20.0
    unpooled = [level_db(pool(songs, floor_db=-np.inf).segment(1, n)) for n in range(100)]
    assert min(unpooled) < -20.0


def test_a_floor_that_nothing_reaches_is_refused(songs: list[Track]) -> None:
    with pytest.raises(ValueError, match="1000 excerpts of vocals are all below 6.0 dB: lower"):
        pool(songs, floor_db=6.0).segment(0, 0)


def test_an_example_takes_its_stems_from_the_segments_of_its_pool(songs: list[Track]) -> None:
    source = pool(songs, size=4)
    for number in range(20):
        stems = source.draw(number, np.random.default_rng(number))
        for index, stem in enumerate(stems):
            within = [source.segment(index, number + n) for n in range(4)]
            assert any(np.array_equal(stem, segment) for segment in within)


def test_a_pool_of_one_gives_the_segments_in_order(songs: list[Track]) -> None:
    source = pool(songs, size=1)
    for number in range(5):
        stems = source.draw(number, np.random.default_rng(number))
        assert np.array_equal(stems[1], source.segment(1, number))


def test_all_places_of_the_pool_are_drawn(songs: list[Track]) -> None:
    source = pool(songs, size=4)
    segments = [source.segment(1, n).tobytes() for n in range(4)]
    assert len(set(segments)) == 4
    drawn = [source.draw(0, np.random.default_rng(n))[1].tobytes() for n in range(100)]
    assert set(drawn) == set(segments)


def test_stems_and_seeds_have_segments_of_their_own(songs: list[Track]) -> None:
    one, same = pool(songs), pool(songs)
    other = SegmentPool(songs, one.config, one.pool, seed=4)
    levels = [[float(p.segment(1, n)[0, -1]) for n in range(30)] for p in (one, same, other)]
    assert levels[0] == levels[1] != levels[2]


def test_augmentation_is_drawn_per_example_not_per_segment(songs: list[Track]) -> None:
    source = pool(songs, size=1, gain_range=(0.5, 1.5))
    first, second = (source.draw(7, np.random.default_rng(n))[1] for n in range(2))
    assert first != pytest.approx(second)
    scale = first[0, -1] / second[0, -1]
    assert first == pytest.approx(scale * second, rel=1e-5)


def test_without_random_mixing_stems_come_from_one_place_of_one_song(songs: list[Track]) -> None:
    source = pool(songs, random_mix_prob=0.0)
    for number in range(20):
        vocals, drums = source.draw(number, np.random.default_rng(number))[:, 0, -1]
        assert not drums or vocals == pytest.approx(2 * drums - 1 / 16, abs=1e-6)


def test_mixup_adds_another_segment(songs: list[Track]) -> None:
    once = pool(songs, size=1).draw(0, np.random.default_rng(0))
    twice = pool(songs, size=1, mixup_prob=(1.0,)).draw(0, np.random.default_rng(0))
    assert twice == pytest.approx(2 * once)


def test_an_empty_pool_is_refused(songs: list[Track]) -> None:
    with pytest.raises(ValueError, match="data.pool.size is 0: give at least 1"):
        pool(songs, size=0)
