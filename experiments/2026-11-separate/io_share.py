"""Where the time of separating a file goes: the model, files, or everything around the model.

    python io_share.py --models moises_light-demo bs_roformer-demo open_unmix-demo --seconds 60

Beside it, the time of the model's calls on the same chunks already in memory, and of one call on
the whole song times how much more audio the overlap gives the model. ``--writing`` compares what
``separate`` chooses by the device: a thread that writes beside a model that is not on the CPU.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import soundfile
import torch
from memory import RATE, write_song
from models import load
from torch import Tensor, nn

from mss_shared.separation import Delivery, separate, separate_file


class Timed(nn.Module):
    """A model that keeps the time spent in it and the samples it was given."""

    def __init__(self, model) -> None:
        super().__init__()
        self.model = model
        self.stems, self.sample_rate, self.channels = model.stems, model.sample_rate, model.channels
        self.seconds, self.samples, self.shapes = 0.0, 0, []

    def forward(self, mixture: Tensor) -> Tensor:
        began = time.perf_counter()
        found = self.model(mixture)
        self.seconds += time.perf_counter() - began
        self.samples += mixture.shape[0] * mixture.shape[-1]
        self.shapes.append(mixture.shape)
        return found


@contextmanager
def timed_files() -> Iterator[list[float]]:
    """One item: the seconds spent in opening, reading, writing and closing sound files."""
    spent = [0.0]

    def timed(method):
        def call(*args, **kwargs):
            began = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                spent[0] += time.perf_counter() - began

        return call

    names = ("__init__", "read", "write", "close")
    methods = {name: getattr(soundfile.SoundFile, name) for name in names}
    for name, method in methods.items():
        setattr(soundfile.SoundFile, name, timed(method))
    try:
        yield spent
    finally:
        for name, method in methods.items():
            setattr(soundfile.SoundFile, name, method)


def row(name: str, song: Path, seconds: float, lossless: str, whole: bool) -> str:
    model, inference = load(name)
    timed = Timed(model)
    with torch.inference_mode():
        model(torch.randn(1, model.channels, round(4.0 * model.sample_rate)))  # warm
    delivery = Delivery(lossless=None if lossless == "none" else lossless)
    with tempfile.TemporaryDirectory() as out, timed_files() as in_files:
        began = time.perf_counter()
        separate_file(timed, song, Path(out), inference, delivery)
        took = time.perf_counter() - began
    with torch.inference_mode():
        began = time.perf_counter()
        for shape in timed.shapes:
            model(torch.randn(shape))
        chunks = time.perf_counter() - began
        began = time.perf_counter()
        if whole:
            model(torch.randn(1, model.channels, round(seconds * model.sample_rate)))
        plain = (time.perf_counter() - began) * timed.samples / (seconds * model.sample_rate)
    share = 1.0 - timed.seconds / took
    return (
        f"| {name} | {lossless} | {took:.2f} | {timed.seconds:.2f} | "
        f"{100 * in_files[0] / took:.1f} % | {100 * share:.1f} % | "
        f"{chunks:.2f} | {f'{plain:.2f}' if whole else '-'} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--lossless", nargs="+", default=["none", "mask"])
    parser.add_argument(
        "--writing", choices=("beside", "after"), help="whether a thread writes beside the model"
    )
    parser.add_argument("--whole", action="store_true", help="time a call on the whole song too")
    words = parser.parse_args()
    if words.writing:  # what ``separate_file`` goes by
        taken_for = torch.device("meta" if words.writing == "beside" else "cpu")
        separate.get_device = lambda model: taken_for
    print(f"{words.seconds:g} s of {RATE} Hz stereo, {torch.get_num_threads()} threads; seconds\n")
    print(
        "| model | lossless | all | in the model | in files | all around it | chunks in memory "
        "| song at once |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder) / "song.wav"
        write_song(song, words.seconds / 60.0)
        for name in words.models:
            for lossless in words.lossless:
                print(row(name, song, words.seconds, lossless, words.whole), flush=True)


if __name__ == "__main__":
    main()
