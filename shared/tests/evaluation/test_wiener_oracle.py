"""The ideal multichannel Wiener filter: what masks can't do, the sum, blocks."""

from pathlib import Path

import numpy as np
import pytest
from tiny_songs import write_track

from mss_shared.datasets import Track, open_dataset
from mss_shared.evaluation import oracles
from mss_shared.evaluation.oracles import ideal_ratio_mask, ideal_wiener_filter
from mss_shared.metrics.sdr import usdr

STEMS = ("vocals", "drums")
SAMPLES = 40_000


def panned(seed: int, left: float, right: float) -> np.ndarray:
    """(2, sample) white noise at a place between the channels."""
    return np.outer((left, right), np.random.default_rng(seed).normal(scale=0.1, size=SAMPLES))


@pytest.fixture
def track(tmp_path: Path) -> Track:
    """Two noises that share every bin; each is at its own place."""
    stems = {"vocals": panned(0, 1.0, 0.6), "drums": panned(1, 0.6, 1.0)}
    write_track(tmp_path / "test" / "song", stems)
    return open_dataset(tmp_path).test[0]


def whole(oracle, track: Track) -> np.ndarray:
    return np.concatenate(list(oracle(track, STEMS)), axis=-1)


def worst(estimates: np.ndarray, track: Track) -> float:
    references = track.read_stems(STEMS)
    return min(usdr(r, e) for r, e in zip(references, estimates, strict=True))


def test_stems_at_their_own_places_are_told_apart_where_a_mask_can_not(track):
    assert worst(whole(ideal_ratio_mask, track), track) < 12.0
    assert worst(whole(ideal_wiener_filter, track), track) > 30.0


def test_the_estimates_of_all_stems_sum_to_the_mixture(track):
    total = whole(ideal_wiener_filter, track).sum(axis=0)
    np.testing.assert_allclose(total, track.read_mixture(), atol=1e-5)


def test_a_stem_that_was_not_asked_for_is_in_the_mixture_all_the_same(track):
    [both, alone] = [
        np.concatenate(list(ideal_wiener_filter(track, stems)), axis=-1)[0]
        for stems in (STEMS, STEMS[:1])
    ]
    np.testing.assert_allclose(alone, both, atol=1e-7)


@pytest.mark.parametrize("block", [4096, 13_312])
def test_blocks_give_what_the_whole_song_gives(track, monkeypatch, block):
    expected = whole(ideal_wiener_filter, track)
    monkeypatch.setattr(oracles, "BLOCK", block)
    assert len(list(ideal_wiener_filter(track, STEMS))) > 2
    np.testing.assert_allclose(whole(ideal_wiener_filter, track), expected, atol=1e-6)


def test_silence_stays_silence(tmp_path):
    quiet = np.zeros((2, SAMPLES))
    quiet[:, : SAMPLES // 4] = panned(0, 1.0, 0.5)[:, : SAMPLES // 4]
    write_track(tmp_path / "test" / "song", {"vocals": quiet, "drums": np.zeros((2, SAMPLES))})
    estimates = whole(ideal_wiener_filter, open_dataset(tmp_path).test[0])
    assert np.isfinite(estimates).all()
    assert np.abs(estimates[1]).max() == 0.0
