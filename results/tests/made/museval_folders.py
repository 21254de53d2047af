"""Score files in museval's format, as third parties publish them."""

import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

METRICS = ("SDR", "ISR", "SIR", "SAR")
Columns = Mapping[str, Sequence[float]]  # stem -> value of every frame, NaN where it has none


def song(stems: Columns, duration: float = 1.0, version: str = "0.4.1") -> str:
    """The file of one song; each metric is a little higher than the one before."""
    targets = [
        {
            "name": stem,
            "frames": [
                {
                    "time": float(index),
                    "duration": duration,
                    "metrics": {metric: value + place for place, metric in enumerate(METRICS)},
                }
                for index, value in enumerate(values)
            ],
        }
        for stem, values in stems.items()
    ]
    return json.dumps({"targets": targets, "museval_version": version})


def write_system(folder: Path, songs: Mapping[str, Columns]) -> Path:
    """A system's folder, as museval's stores leave it; return it."""
    for name, stems in songs.items():
        file = folder / "test" / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(song(stems))
    return folder


def random_songs(stems: Sequence[str], level: float, seed: int, count: int = 3) -> dict[str, dict]:
    """Songs of 9 frames, of which about a third have no score in any stem."""
    chance = random.Random(seed)
    songs: dict[str, dict] = {}
    for number in range(count):
        silent = {frame for frame in range(1, 9) if chance.random() < 0.3}
        songs[f"Some Band - Song {number}"] = {
            stem: [
                math.nan if frame in silent else round(chance.gauss(level, 2), 5)
                for frame in range(9)
            ]
            for stem in stems
        }
    return songs
