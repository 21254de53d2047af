"""Training examples per second from files on disk: ours, and Open-Unmix's own loader.

    python measure.py FOLDER --openunmix DIR

FOLDER gets made-up songs of four minutes, as wav and as flac. DIR holds the unpacked wheel of
openunmix 1.3.0, whose loader is run unchanged; its torchaudio is replaced by `Soundfile` below.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch.utils.data import default_collate

from mss_shared.datasets import open_dataset
from mss_shared.datasets.decoded import decode_flac
from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.training.random_mixes import RandomMixes

RATE, SECONDS, EXCERPT = 44_100, 240, 6.0
STEMS = ("vocals", "drums", "bass", "other")
SONGS, TURNS, PER_TURN = 4, 5, 24


class Soundfile(types.ModuleType):
    """What openunmix uses of torchaudio, as torchaudio's backend on soundfile does it."""

    @staticmethod
    def get_audio_backend() -> str:
        return "soundfile"

    @staticmethod
    def info(path: str) -> Any:
        found = soundfile.info(path)
        return types.SimpleNamespace(
            sample_rate=found.samplerate, num_frames=found.frames, num_channels=found.channels
        )

    @staticmethod
    def load(path: str, num_frames: int = -1, frame_offset: int = 0) -> tuple[torch.Tensor, int]:
        with soundfile.SoundFile(path) as file:
            file.seek(frame_offset)
            values = file.read(num_frames, dtype="float32", always_2d=True)
            return torch.from_numpy(values).t(), file.samplerate


def write_songs(root: Path) -> None:
    """Four songs of low-passed noise that swells and fades, in 16 bits."""
    samples = SECONDS * RATE
    swell = 0.5 + 0.5 * np.sin(np.arange(samples) / RATE)[:, None]
    for kind in ("wav", "flac"):
        for song in range(SONGS):
            for number, stem in enumerate((*STEMS, "mixture")):
                path = root / kind / "train" / f"song-{song}" / f"{stem}.{kind}"
                if path.is_file():
                    continue
                white = np.random.default_rng(10 * song + number).standard_normal((samples, 2))
                low = np.cumsum(white, axis=0) * 0.002
                low -= np.convolve(low[:, 0], np.ones(64) / 64, "same")[:, None]
                path.parent.mkdir(parents=True, exist_ok=True)
                values = np.clip(low * swell, -0.99, 0.99)
                soundfile.write(path, values, RATE, subtype="PCM_16")


def reference(root: Path, suffix: str) -> Callable[[], object]:
    """A function that draws an example with openunmix's FixedSourcesTrackFolderDataset."""
    from openunmix.data import FixedSourcesTrackFolderDataset, aug_from_str

    dataset = FixedSourcesTrackFolderDataset(
        str(root),
        target_file=f"vocals{suffix}",
        interferer_files=[f"{stem}{suffix}" for stem in STEMS[1:]],
        seq_duration=EXCERPT,
        random_chunks=True,
        random_track_mix=True,
        source_augmentations=aug_from_str(["gain", "channelswap"]),
    )
    return lambda: dataset[random.randrange(len(dataset))]


def musdb_reference(root: Path) -> Callable[[], object]:
    """The same with openunmix's MUSDBDataset, which its training uses; wav only."""
    from openunmix.data import MUSDBDataset, aug_from_str

    (root / "test").mkdir(exist_ok=True)
    dataset = MUSDBDataset(
        target="vocals",
        root=str(root),
        is_wav=True,
        split="train",
        seq_duration=EXCERPT,
        source_augmentations=aug_from_str(["gain", "channelswap"]),
        subsets=["train"],
    )
    dataset.mus.tracks = dataset.mus.load_mus_tracks(subsets=["train"])
    return lambda: dataset[random.randrange(len(dataset))]


def ours(root: Path, cache: Path | None = None) -> Callable[[], object]:
    """A function that draws an example as a fit of Open-Unmix's recipe does."""
    from open_unmix.recipe import Recipe

    recipe = load_recipe(Recipe, find_recipe("open_unmix", "umxhq_vocals")).recipe
    dataset = open_dataset(root)
    if cache is not None:
        dataset = decode_flac(dataset, cache)
    tracks = (*dataset.train, *dataset.valid)
    examples = RandomMixes(tracks, recipe.data, ("vocals",), 0)
    assert recipe.data.chunk_seconds == EXCERPT
    numbers = iter(range(10**9))
    return lambda: examples[next(numbers)]


def processor_seconds() -> float:
    """Of this process and of those that it has waited for, such as musdb's ffmpeg."""
    return sum(os.times()[:4])


def measure(makers: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Examples per second of processor time in turns, so that a busy machine slows all alike."""
    speeds: dict[str, list[float]] = {name: [] for name in makers}
    for turn in range(TURNS + 1):
        for name, draw in makers.items():
            count = PER_TURN if "musdb" not in name else 4
            began = processor_seconds()
            for _ in range(count):
                draw()
            seconds = processor_seconds() - began
            if turn:  # the first fills the page cache
                speeds[name].append(count / seconds)
    return speeds


def measure_step(draw: Callable[[], object]) -> tuple[float, float]:
    """Seconds of processor time to load a batch of Open-Unmix's recipe, and to train on it."""
    from open_unmix.paper import PAPER

    recipe = load_recipe(PAPER.recipe_type, find_recipe("open_unmix", "umxhq_vocals")).recipe
    model = PAPER.build_model(recipe)
    module = PAPER.build_training(model, recipe)
    [optimizer], _ = module.configure_optimizers()
    times: list[tuple[float, float]] = []
    for _ in range(3):
        began = time.process_time()
        batch = default_collate([draw() for _ in range(recipe.training.batch)])
        loaded = time.process_time()
        module.loss(batch).backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append((loaded - began, time.process_time() - loaded))
    return min(load for load, _ in times), min(step for _, step in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--openunmix", type=Path, required=True)
    parser.add_argument("--musdb", action="store_true", help="also measure MUSDBDataset (ffmpeg)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sys.modules["torchaudio"] = Soundfile("torchaudio")
    sys.path.append(str(arguments.openunmix))
    write_songs(arguments.folder)
    wav, flac = arguments.folder / "wav", arguments.folder / "flac"
    makers = {
        "openunmix, wav": reference(wav, ".wav"),
        "ours, wav": ours(wav),
        "openunmix, flac": reference(flac, ".flac"),
        "ours, flac": ours(flac),
        "ours, flac decoded once": ours(flac, arguments.folder / "cache"),
    }
    if arguments.musdb:
        makers["openunmix with musdb, wav"] = musdb_reference(wav)
    speeds = measure(makers)
    print(
        "| loader | examples/s | excerpts/s | lowest and highest turn |\n| --- | --- | --- | --- |"
    )
    for name, values in speeds.items():
        middle = float(np.median(values))
        print(f"| {name} | {middle:.1f} | {4 * middle:.0f} | {min(values):.1f} {max(values):.1f} |")
    load, step = measure_step(makers["ours, wav"])
    print(f"a batch of umxhq_vocals: {load:.3f} s to load, {step:.2f} s to train on, one thread")


if __name__ == "__main__":
    main()
