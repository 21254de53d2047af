"""Time, memory and scores of our BSSEval beside museval's, on synthetic four-stem stereo songs.

Every measurement is a process of its own, limited to the same number of threads. museval lives in
a virtual environment that is made in a temporary folder and deleted.
"""

import argparse
import cProfile
import json
import os
import platform
import pstats
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import scipy.signal

RATE_HZ, STEMS, CHANNELS = 44_100, 4, 2
PINS = ("museval==0.4.1", "numpy==2.4.6", "scipy==1.17.1")
NAMES = ("SDR", "ISR", "SIR", "SAR")


def make_song(seconds: int) -> tuple[np.ndarray, np.ndarray]:
    """References and estimates, (stem, channel, sample) float32.

    Coloured noise that swells and fades; each estimate is a filtered reference with a tenth of a
    neighbour and some noise.
    """
    shape = STEMS, CHANNELS, RATE_HZ * seconds
    references, estimates = (np.empty(shape, np.float32) for _ in range(2))
    convolve = partial(scipy.signal.oaconvolve, mode="same", axes=-1)
    colours = np.random.default_rng(0).standard_normal((STEMS, 1, 32)) * 0.8 ** np.arange(32)
    for second in range(seconds):
        rng = np.random.default_rng([1, second])
        here = np.s_[:, :, RATE_HZ * second : RATE_HZ * (second + 1)]
        raw = rng.standard_normal((STEMS, CHANNELS, RATE_HZ))
        raw += rng.standard_normal((STEMS, 1, RATE_HZ))  # what both channels share
        loudness = 10 ** rng.uniform(-1.5, -0.5, (STEMS, 1, 1))
        # One colour per stem, so that stems differ as instruments do.
        clean = np.stack([convolve(x, colour) for x, colour in zip(raw, colours, strict=True)])
        clean *= loudness / clean.std()
        heard = 0.8 * clean + 0.3 * np.roll(clean, 7, axis=2) + 0.1 * np.roll(clean, 1, axis=0)
        references[here] = clean
        estimates[here] = heard + 0.003 * rng.standard_normal(clean.shape)
    return references, estimates


def usage() -> tuple[float, float]:
    """CPU seconds so far and the largest resident size, in GB, of this process."""
    so_far = resource.getrusage(resource.RUSAGE_SELF)
    return so_far.ru_utime + so_far.ru_stime, so_far.ru_maxrss * 1024 / 1e9


def timed(score: Callable[[], np.ndarray]) -> dict[str, object]:
    """What a call that returns (ratio, stem, frame) took, and its result."""
    (cpu, before_gb), start = usage(), time.perf_counter()
    scores = score()
    spent, (cpu_after, peak_gb) = time.perf_counter() - start, usage()
    spans = {"seconds": spent, "cpu_seconds": cpu_after - cpu}
    return spans | {"before_gb": before_gb, "peak_gb": peak_gb, "scores": scores.tolist()}


def score_ours(seconds: int, threads: int, metrics: tuple[str, ...]) -> dict[str, object]:
    from mss_shared.metrics.bsseval import bsseval

    frames = {"window": RATE_HZ, "hop": RATE_HZ}
    work = partial(bsseval, *make_song(seconds), **frames, metrics=metrics, workers=threads)

    def score() -> np.ndarray:
        scores = work()
        return np.stack([getattr(scores, name.lower()) for name in NAMES])

    return timed(score)


def score_museval(seconds: int) -> dict[str, object]:
    from museval.metrics import bss_eval

    # museval takes (source, sample, channel) float64.
    audio = [np.ascontiguousarray(x.transpose(0, 2, 1), np.float64) for x in make_song(seconds)]
    frames = {"window": RATE_HZ, "hop": RATE_HZ}
    return timed(lambda: np.stack(bss_eval(*audio, **frames, framewise_filters=False)[:4]))


def write_files(seconds: int, folder: Path) -> None:
    """The song as 32-bit float wav files, for `score_files`."""
    from mss_shared import audio

    for side, stems in zip(("references", "estimates"), make_song(seconds), strict=True):
        for number, stem in enumerate(stems):
            audio.write(folder / side / f"{number}.wav", stem, RATE_HZ, "FLOAT")


def score_files(seconds: int, threads: int, folder: Path) -> dict[str, object]:
    """As `score_ours`, but read piece by piece, as `mss-eval` does."""
    from mss_shared.datasets.tracks import Sum
    from mss_shared.evaluation.file_signals import FileSignals
    from mss_shared.heap import keep_freed_memory
    from mss_shared.metrics.bsseval import bsseval

    keep_freed_memory()

    sides = ("references", "estimates")
    files = [tuple(Sum.of(folder / x / f"{n}.wav") for n in range(STEMS)) for x in sides]
    signals = [FileSignals(stems, CHANNELS, RATE_HZ * seconds) for stems in files]

    def score() -> np.ndarray:
        scores = bsseval(*signals, window=RATE_HZ, hop=RATE_HZ, workers=threads)
        return np.stack([getattr(scores, name.lower()) for name in NAMES])

    return timed(score)


def profile_ours(seconds: int, threads: int) -> dict[str, object]:
    """Seconds in each stage of ours."""
    profile = cProfile.Profile()
    found = profile.runcall(score_ours, seconds, threads, NAMES)
    stages = ("checked", "_plan", "frame_levels", "correlate", "_filters", "add_energies")
    rows = pstats.Stats(profile).stats.items()
    spent = {name: row[3] for (_, _, name), row in rows if name in stages}
    return {"seconds": found["seconds"], "stages": {name: spent[name] for name in stages}}


def measure(
    python: str, tool: str, seconds: int, threads: int, folder: str = ""
) -> dict[str, object]:
    """Run one measurement in its own process."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    command = [python, __file__, "--child", tool, "--seconds", str(seconds), "--folder", folder]
    done = subprocess.run(
        [*command, "--threads", str(threads)], env=environment, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def build_museval(folder: str) -> str:
    """A Python that has museval."""
    missing = [name for name in ("ffmpeg", "ffprobe") if shutil.which(name) is None]
    if missing:
        raise FileNotFoundError(f"{' and '.join(missing)} not on the path: museval needs them")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = str(Path(folder) / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PINS], check=True)
    return python


def compare(python: str, lengths: list[int], alone: list[int], threads: int) -> None:
    """Print the table, row by row: wall seconds, and CPU seconds in brackets."""
    heads = ["song", "museval", "ours", "ratio", "from files", "SDR only", "museval peak"]
    heads += ["ours peak", "of it before the call", "peak from files", "largest SDR difference"]
    heads += ["ISR, SIR, SAR"]
    print(f"| {' | '.join(heads)} |\n{'| --- ' * len(heads)}|", flush=True)
    for seconds in sorted({*lengths, *alone}):
        ours = measure(sys.executable, "ours", seconds, threads)
        sdr = measure(sys.executable, "sdr", seconds, threads)
        with tempfile.TemporaryDirectory() as folder:
            measure(sys.executable, "write", seconds, threads, folder)
            files = measure(sys.executable, "files", seconds, threads, folder)
        assert np.array_equal(files["scores"], ours["scores"])
        cells = ["-", spans(ours), "-", spans(files), spans(sdr), "-"]
        cells += [f"{ours['peak_gb']:.2f} GB", f"{ours['before_gb']:.2f} GB"]
        cells += [f"{files['peak_gb']:.2f} GB", "-", "-"]
        if seconds in lengths:
            theirs = measure(python, "museval", seconds, threads)
            away = np.abs(np.subtract(theirs["scores"], ours["scores"])).max(axis=(1, 2))
            cells[0], cells[5] = spans(theirs), f"{theirs['peak_gb']:.2f} GB"
            cells[2] = f"{theirs['seconds'] / ours['seconds']:.0f}"
            cells[9:] = [f"{away[0]:.0e} dB", f"{away[1:].max():.0e} dB"]
        print(f"| {seconds} s | {' | '.join(cells)} |", flush=True)


def spans(found: dict[str, object]) -> str:
    return f"{found['seconds']:.2f} s ({found['cpu_seconds']:.1f})"


def print_stages(seconds: int, threads: int) -> None:
    found = measure(sys.executable, "stages", seconds, threads)
    print(f"\nour {found['seconds']:.2f} s of a {seconds} s song by stage:")
    for name, spent in found["stages"].items():
        print(f"- `{name}` {spent:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--lengths", type=int, nargs="+", default=[10, 60, 240], help="songs, s")
    parser.add_argument("--alone", type=int, nargs="*", default=[480, 600], help="ours only, s")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--museval_python", help="a Python that has museval; else one is made")
    parser.add_argument(
        "--child",
        choices=("ours", "sdr", "stages", "museval", "write", "files"),
        help=argparse.SUPPRESS,
    )
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, default=10, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child == "museval":
        print(json.dumps(score_museval(options.seconds)))
    elif options.child == "stages":
        print(json.dumps(profile_ours(options.seconds, options.threads)))
    elif options.child == "write":
        write_files(options.seconds, Path(options.folder))
        print("{}")
    elif options.child == "files":
        print(json.dumps(score_files(options.seconds, options.threads, Path(options.folder))))
    elif options.child:
        metrics = ("SDR",) if options.child == "sdr" else NAMES
        print(json.dumps(score_ours(options.seconds, options.threads, metrics)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            python = options.museval_python or build_museval(folder)
            print(f"{platform.machine()}, {options.threads} threads, {', '.join(PINS)}\n")
            compare(python, options.lengths, options.alone, options.threads)
            print_stages(max(options.lengths), options.threads)


if __name__ == "__main__":
    main()
