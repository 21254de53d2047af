"""Seams: a model that hears as far as its context has none."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_songs import noise
from torch import Tensor

from mss_shared import audio
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation.seams import seams

RATE = 1_000
CHUNKS = InferenceConfig(1.0, 0.0, 0.0, "flat", "none")


class Echo:
    """Half the sum of the mixture and itself 100 ms earlier and later."""

    stems = ("vocals",)
    sample_rate = RATE
    channels = 1

    def __call__(self, mixture: Tensor) -> Tensor:
        around = torch.nn.functional.pad(mixture, (100, 100))
        return 0.5 * (mixture + around[..., :-200] + around[..., 200:])[:, None]


def song(folder: Path) -> Path:
    audio.write(folder / "song.wav", noise(0, 1, 5_000, 0.1), RATE, "FLOAT")
    return folder / "song.wav"


def test_a_context_as_long_as_the_model_hears_leaves_no_seam(tmp_path: Path) -> None:
    told = []
    found = seams(
        Echo(),
        song(tmp_path),
        CHUNKS,
        (0.0, 0.05, 0.1, 0.2),
        progress=lambda *words: told.append(words),
    )
    assert [seam.context_seconds for seam in found] == [0.0, 0.05, 0.1, 0.2]
    assert found[0].worst_db < 10.0 and found[1].worst_db < 20.0
    assert found[2].worst_db == found[3].worst_db == math.inf
    assert found[0].cost == pytest.approx(1.0) and found[2].cost > 1.15
    assert told[-1] == ("0.2 s", 4, 4)


def test_the_worst_window_is_at_a_chunks_border_and_its_ratio_that_of_the_missing_echo(
    tmp_path: Path,
) -> None:
    [seam] = seams(Echo(), song(tmp_path), CHUNKS, (0.0,))
    sound = audio.read(tmp_path / "song.wav")[0].astype(np.float64)
    around = np.pad(sound, 100)
    whole = 0.5 * (sound + around[:-200] + around[200:])
    ratios = {}
    for join in (1_000, 2_000, 3_000, 4_000):
        for start, missing in ((join - 100, around[200:]), (join, around[:-200])):
            place = slice(start, start + 100)
            error = 0.5 * missing[place]
            ratios[start / RATE] = 10 * np.log10((whole[place] ** 2).sum() / (error**2).sum())
    assert seam.at_seconds == min(ratios, key=lambda start: ratios[start])
    assert seam.worst_db == pytest.approx(min(ratios.values()), abs=1e-4)
    assert seam.border_db == pytest.approx(sorted(ratios.values())[3], abs=1e-4)
    assert seam.median_db == math.inf  # away from joins nothing is missing


def test_parts_without_seams_or_sound_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a part of 0\.9 s and chunks of 1\.0 s have no seams"):
        seams(Echo(), song(tmp_path), CHUNKS, (0.0,), part_seconds=(0.0, 0.9))
    audio.write(tmp_path / "silent.wav", np.zeros((1, 5_000), np.float32), RATE)
    with pytest.raises(ValueError, match="estimates of the part are silent: choose another part"):
        seams(Echo(), tmp_path / "silent.wav", CHUNKS, (0.0,))
