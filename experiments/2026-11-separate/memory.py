"""Peak memory of separating a file, by its length, beside that of the model alone.

python memory.py --models toy moises_light-demo --minutes 10 120 --lossless none mask
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
from pathlib import Path

import numpy as np
import soundfile

RATE = 44_100


def write_song(path: Path, minutes: float) -> None:
    """A 16-bit stereo wav of slow tones and noise, written second by second."""
    random = np.random.default_rng(0)
    time = np.arange(RATE) / RATE
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
        for second in range(round(60 * minutes)):
            tone = 0.2 * np.sin(2 * np.pi * (110 + second % 50) * time)
            file.write(tone[:, None] + 0.05 * random.standard_normal((RATE, 2)))


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def model_alone(name: str, queue: multiprocessing.Queue) -> None:
    """One chunk through the model."""
    import torch
    from models import load

    model, inference = load(name)
    samples = round((inference.chunk_seconds or 60.0) * model.sample_rate)
    with torch.inference_mode():
        model(torch.randn(1, model.channels, samples))
    queue.put({"peak_mib": peak_mib()})


def separate(name: str, song: str, lossless: str, queue: multiprocessing.Queue) -> None:
    from models import load

    from mss_shared.separation import Delivery, separate_file

    model, inference = load(name)
    delivery = Delivery(lossless=None if lossless == "none" else lossless)
    with tempfile.TemporaryDirectory(dir=Path(song).parent) as out:
        done = separate_file(model, Path(song), Path(out), inference, delivery)
    queue.put({"peak_mib": peak_mib(), "null_depth_dbfs": done.null_depth_dbfs})


def in_a_process(work, *arguments: str) -> dict:
    """What a function puts on its queue, its memory counted by itself."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=work, args=(*arguments, queue))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{work.__name__} {arguments} failed")
    return queue.get()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", default=["toy", "moises_light-demo"])
    parser.add_argument("--minutes", nargs="+", type=float, default=[10.0, 120.0])
    parser.add_argument("--lossless", nargs="+", default=["none", "mask", "rerun"])
    parser.add_argument("--folder", help="for the songs and stems; the system's own if not given")
    words = parser.parse_args()
    print("| model | lossless | minutes | peak MiB | above the model alone | null depth dBFS |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=words.folder) as folder:
        songs = {minutes: Path(folder) / f"{minutes:g}.wav" for minutes in words.minutes}
        for minutes, song in songs.items():
            write_song(song, minutes)
        for name in words.models:
            alone = in_a_process(model_alone, name)["peak_mib"]
            for lossless in words.lossless:
                for minutes, song in songs.items():
                    found = in_a_process(separate, name, str(song), lossless)
                    peak, depth = found["peak_mib"], json.dumps(found["null_depth_dbfs"])
                    print(
                        f"| {name} | {lossless} | {minutes:g} | {peak:.0f} | {peak - alone:.0f} | "
                        f"{depth} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
