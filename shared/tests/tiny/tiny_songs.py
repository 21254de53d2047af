"""Small data and changed recipes for the tests of the shared library."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tiny_paper.paper import PAPER

from mss_shared import audio
from mss_shared.audio import Audio
from mss_shared.datasets import Dataset
from mss_shared.datasets.folders import read_track
from mss_shared.datasets.tracks import Track
from mss_shared.recipe import LoadedRecipe, find_recipe, load_recipe, to_yaml
from mss_shared.recipe_sections import BaseRecipe, DataConfig

RATE = 8_000
STEMS = ("vocals", "drums")


def noise(seed: int, channels: int = 2, samples: int = RATE, scale: float = 0.1) -> Audio:
    """(channel, sample) of normal noise on the grid of 16 bits, so that files keep it exactly."""
    values = np.random.default_rng(seed).normal(0.0, scale, (channels, samples)).clip(-0.9, 0.9)
    return (np.rint(values * 32_768) / 32_768).astype(np.float32)


def tone(hz: float, samples: int = RATE, rate: int = RATE, channels: int = 2) -> Audio:
    """(channel, sample) of a sine of amplitude one half."""
    wave = 0.5 * np.sin(2 * np.pi * hz * np.arange(samples) / rate)
    return np.tile(wave, (channels, 1)).astype(np.float32)


def write_track(folder: Path, stems: Mapping[str, Audio], rate: int = RATE) -> Path:
    """One wav file per stem, 16 bits."""
    for stem, signal in stems.items():
        audio.write(folder / f"{stem}.wav", signal, rate)
    return folder


def make_track(folder: Path, stems: Mapping[str, Audio], rate: int = RATE) -> Track:
    """A track folder, written and opened."""
    return read_track(write_track(folder, stems, rate))


def write_set(root: Path, tracks: Mapping[str, int], stems: Sequence[str] = STEMS) -> Path:
    """Track folders below ``root`` from 'split/name' to a seed; 64 samples of noise per stem."""
    for place, seed in tracks.items():
        signals = {stem: noise(100 * seed + n, samples=64) for n, stem in enumerate(stems)}
        write_track(root / place, signals)
    return root


def demo_recipe(**sections: Mapping[str, Any]) -> LoadedRecipe[Any]:
    """The tiny paper's recipe with some values of some sections changed."""
    loaded = load_recipe(PAPER.recipe_type, find_recipe(PAPER.name, "demo"))
    recipe = loaded.recipe
    for name, changes in sections.items():
        section = dataclasses.replace(getattr(recipe, name), **changes)
        recipe = dataclasses.replace(recipe, **{name: section})
    return dataclasses.replace(loaded, recipe=recipe, text=to_yaml(recipe), verbatim=not sections)


def without_added_keys(recipe: Any) -> str:
    """A recipe's YAML as it was before the keys that all papers got later."""
    names = [name.rpartition(".")[2] for name in BaseRecipe.added]
    lines = to_yaml(recipe).splitlines(keepends=True)
    return "".join(line for line in lines if line.split(":")[0].strip() not in names)


def plain_data(**changes: Any) -> DataConfig:
    """Examples without any augmentation: a tenth of a second, gain one, stems of one place."""
    values: dict[str, Any] = {
        "stems": STEMS,
        "chunk_seconds": 0.1,
        "chunk_grid_seconds": 0.0,
        "examples_per_epoch": 8,
        "random_mix_prob": 0.0,
        "time_shift_seconds": 0.0,
        "mixup_prob": (),
        "gain_range": (1.0, 1.0),
        "channel_swap_prob": 0.0,
        "polarity_prob": 0.0,
        "silent_stem_prob": 0.0,
        "pitch_shift_prob": 0.0,
        "pitch_shift_semitones": 0.0,
    }
    return DataConfig(**(values | changes))


def names(dataset: Dataset) -> dict[str, list[str]]:
    """Split -> names of its tracks."""
    return {
        split: [track.name for track in getattr(dataset, split)]
        for split in ("train", "valid", "test")
    }
