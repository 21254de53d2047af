"""Do the files add up? Songs in 16 bits, 24 bits and float through models, every sample compared.

python sums.py SONG... --models bs_roformer-demo moises_light-demo --duration 10
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from models import load

from mss_shared.audio.streams import open_song
from mss_shared.separation import Delivery, separate_file

FORMATS = ("PCM_16", "PCM_24", "FLOAT")


def take(song: Path, duration: float, subtype: str, out: Path) -> None:
    """The beginning of a song in another sample format, with noise that fills all of its bits."""
    random = np.random.default_rng(0)
    with open_song(song, (0.0, duration)) as opened:
        sound = np.concatenate([*opened.blocks()], axis=1)
        rate = opened.sample_rate
    sound = 0.98 * sound + 2.0**-14 * random.standard_normal(sound.shape)
    if subtype == "FLOAT":
        sound = sound.astype(np.float32)
    soundfile.write(out, sound.T.clip(-1, 1), rate, subtype)


def largest_difference(song: Path, files: list[Path]) -> float:
    """Of the song and the sum of the files, both exact in float64."""
    read = [soundfile.read(path, dtype="float64", always_2d=True)[0] for path in (song, *files)]
    return float(np.abs(read[0] - sum(read[1:])).max())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("songs", nargs="+", type=Path)
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--duration", type=float, default=10.0)
    words = parser.parse_args()
    print("| model | stems | song | mode | written | greatest difference |\n" + "|---" * 6 + "|")
    for name in words.models:
        model, inference = load(name)
        for mode in ("mask", "rerun"):
            for subtype in FORMATS:
                worst, kinds = 0.0, set()
                for song in words.songs:
                    with tempfile.TemporaryDirectory() as folder:
                        given = Path(folder, "song.wav")
                        take(song, words.duration, subtype, given)
                        done = separate_file(
                            model, given, Path(folder), inference, Delivery(lossless=mode)
                        )
                        files = [*done.paths.values()]
                        kinds |= {soundfile.info(path).subtype for path in files}
                        worst = max(worst, largest_difference(given, files))
                stems = ", ".join(done.paths)
                print(
                    f"| {name} | {stems} | {len(words.songs)} x {subtype} | {mode} | "
                    f"{', '.join(sorted(kinds))} | {worst:g} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
