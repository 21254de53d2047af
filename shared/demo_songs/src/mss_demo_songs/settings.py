"""The content of a demo set: its size, its seed, and a plan of each song."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from mss_demo_songs.styles import STYLES

#: Increased whenever a change moves a sample; older sets in the cache are then built again.
GENERATOR_VERSION = "1"
SAMPLE_RATE = 44_100
#: Seeds of a set: training songs count from its base, test songs and edge cases from further on.
SEEDS_PER_SET, FIRST_TEST_SEED, FIRST_EDGE_SEED = 100_000, 50_000, 90_000
INSTRUMENTAL_EVERY = 12
VALIDATION_SONGS = 3


@dataclass(frozen=True)
class DemoSettings:
    """The settings that determine every sample of a demo set.

    Attributes:
        train: training songs, at least 1.
        test: test songs, at least 1; an edge case is made as well, outside the test folder.
        seconds: length of every song, 4 s to 600 s.
        seed: a different seed gives different songs.
        vocals: False replaces the singing voice by a choir of the sound font, so that the two
            speech packages are not needed; the manifest's name says so.

    Raises:
        ValueError: if a value is out of range.
    """

    train: int
    test: int
    seconds: float
    seed: int
    vocals: bool

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("train", self.train, 1, 9_999),
            ("test", self.test, 1, 9_999),
            ("seconds", self.seconds, 4, 600),
            ("seed", self.seed, 0, 999_999),
        ):
            if not low <= value <= high:
                raise ValueError(
                    f"the demo set was asked for {name} {value}: "
                    f"{name} must lie between {low} and {high}"
                )


SIZES: dict[str, DemoSettings] = {
    "tiny": DemoSettings(train=4, test=2, seconds=8.0, seed=1, vocals=True),
    "small": DemoSettings(train=18, test=6, seconds=12.0, seed=1, vocals=True),
    "full": DemoSettings(train=18, test=24, seconds=25.0, seed=1, vocals=True),
}


@dataclass(frozen=True)
class SongPlan:
    """The plan of a song; equal plans give equal samples.

    Attributes:
        split: "train", "test" or "edge".
        name: folder name, `<NN>-<style>-<seed>`.
        style: key of `styles.STYLES`.
        seed: the song's own seed.
        seconds: the song's length.
        voice: "sung", "choir" (the sound font sings) or "none" (vocals are exactly zero).
    """

    split: str
    name: str
    style: str
    seed: int
    seconds: float
    voice: str


def short_name(settings: DemoSettings) -> str:
    """The size's name, or a digest of the settings if they match none."""
    for size, known in SIZES.items():
        if known == settings:
            return size
    text = json.dumps(asdict(settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def set_name(settings: DemoSettings) -> str:
    """The name in the manifest, such as demo_small or demo_2x1x4s_seed7_choir."""
    name = short_name(settings)
    if name in SIZES:
        return f"demo_{name}"
    spelt = f"demo_{settings.train}x{settings.test}x{settings.seconds:g}s_seed{settings.seed}"
    return spelt if settings.vocals else f"{spelt}_choir"


def plan_songs(settings: DemoSettings) -> list[SongPlan]:
    """Every song of the set: training songs, test songs, then the instrumental edge case."""
    styles = list(STYLES)
    base = settings.seed * SEEDS_PER_SET
    voice = "sung" if settings.vocals else "choir"

    def plan(split: str, index: int, style: str, seed: int, voice: str) -> SongPlan:
        name = f"{index + 1:02d}-{style}-{seed}"
        return SongPlan(split, name, style, seed, settings.seconds, voice)

    songs = []
    for index in range(settings.train):
        instrumental = index % INSTRUMENTAL_EVERY == INSTRUMENTAL_EVERY - 1
        style = styles[index % len(styles)]
        songs.append(plan("train", index, style, base + index, "none" if instrumental else voice))
    for index in range(settings.test):
        # Five and twelve have no common factor, so even a few test songs cover different styles.
        style = styles[5 * index % len(styles)]
        songs.append(plan("test", index, style, base + FIRST_TEST_SEED + index, voice))
    songs.append(plan("edge", 0, "funk", base + FIRST_EDGE_SEED, "none"))
    return songs


def validation_names(songs: list[SongPlan]) -> list[str]:
    """The last three training songs; fewer if no song would be left for training."""
    train = [song.name for song in songs if song.split == "train"]
    return train[max(1, len(train) - VALIDATION_SONGS) :]
