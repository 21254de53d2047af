"""Flac files are read from copies that are equal to the bit."""

from pathlib import Path

import numpy as np
import pytest
from tiny_songs import STEMS, noise

from mss_shared import audio
from mss_shared.datasets import open_dataset
from mss_shared.datasets.decoded import decode_flac
from mss_shared.datasets.tracks import Reading, files_of


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_copies_have_the_same_samples_and_are_made_once(subtype: str, tmp_path: Path) -> None:
    for n, place in enumerate(("train/a", "train/b", "test/x")):
        for k, stem in enumerate(STEMS):
            signal = noise(10 * n + k) + np.float32(1 / 2**22)
            audio.write(tmp_path / "set" / place / f"{stem}.flac", signal, 8_000, subtype)
    dataset = open_dataset(tmp_path / "set", reading=Reading(trim=True))
    decoded = decode_flac(dataset, tmp_path / "cache")
    for before, after in zip(
        (*dataset.train, *dataset.valid), (*decoded.train, *decoded.valid), strict=True
    ):
        np.testing.assert_array_equal(before.read_stems(STEMS, 9), after.read_stems(STEMS, 9))
        [path] = files_of(after.stems["vocals"])
        assert path.parent == tmp_path / "cache" and after.info == before.info
    assert decoded.test == dataset.test
    copies = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    told: list[tuple[str, int, int]] = []
    decode_flac(dataset, tmp_path / "cache", lambda *words: told.append(words))
    assert len(copies) == len(told) == 4
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()} == copies
