"""How long the aggregator takes over score files of the size of SiSEC 2018's, and its memory."""

import argparse
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

STEMS = ("drums", "bass", "other", "vocals", "accompaniment")
METRICS = ("SDR", "SIR", "SAR", "ISR")
SONG_SECONDS = (145, 330)  # drawn evenly: MUSDB18's test songs last some four minutes
SILENT = 0.3  # share of frames without a score, as in the files of the campaign


def write_corpus(root: Path, methods: int, songs: int) -> int:
    """Write museval's files, <root>/<method>/test/<song>.json; return their bytes."""
    lengths = [random.Random(song).randint(*SONG_SECONDS) for song in range(songs)]
    total = 0
    for method in range(methods):
        folder = root / f"method{method:02d}" / "test"
        folder.mkdir(parents=True, exist_ok=True)
        for song, frames in enumerate(lengths):
            text = track_json(np.random.default_rng([method, song]), frames, method / 4 + song / 9)
            (folder / f"Band {song % 9} - Song {song:02d}.json").write_text(text)
            total += len(text)
    return total


def track_json(chance: np.random.Generator, frames: int, level: float) -> str:
    """museval's layout with two spaces; a silent frame is NaN for all stems."""
    silent = chance.random(frames) < SILENT
    targets = []
    for stem in STEMS:
        values = chance.normal(level, 3, (frames, len(METRICS)))
        values[silent] = math.nan
        targets.append(
            f'    {{\n      "name": "{stem}",\n      "frames": [\n'
            + ",\n".join(_frame(index, line) for index, line in enumerate(values.tolist()))
            + "\n      ]\n    }"
        )
    body = ",\n".join(targets)
    return f'{{\n  "targets": [\n{body}\n  ],\n  "museval_version": "0.4.1"\n}}'


def _frame(index: int, values: Sequence[float]) -> str:
    scores = ",\n".join(
        f'            "{metric}": {"NaN" if value != value else f"{value:.5f}"}'
        for metric, value in zip(METRICS, values, strict=True)
    )
    return (
        f'        {{\n          "time": {index}.0,\n          "duration": 1.0,\n'
        f'          "metrics": {{\n{scores}\n          }}\n        }}'
    )


def timed(*arguments: str) -> tuple[float, float]:
    """Seconds and peak MB of one mss-results command."""
    began = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", "mss_results", *arguments], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, arguments
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def import_all(corpus: Path, repo: Path) -> float:
    """Import every method; seconds."""
    return sum(
        timed(
            *("import-museval", str(folder), "--method", folder.name, "--dataset", "made_up"),
            *("--protocol", "sisec18@1", "--repo", str(repo)),
        )[0]
        for folder in sorted(corpus.iterdir())
    )


def against_museval(corpus: Path, methods: int) -> tuple[float, float, float]:
    """Seconds of museval's MethodStore and of ours on the same files, the largest difference."""
    import museval

    from mss_results.aggregate import combine, track_values
    from mss_results.museval_files import METRICS, find_files
    from mss_results.track_file import KNOWN_STEMS, Protocol, parse_track

    folders = sorted(corpus.iterdir())[:methods]
    began = time.perf_counter()
    store = museval.MethodStore()
    for folder in folders:
        store.add_eval_dir(folder)
    theirs = store.agg_frames_tracks_scores()
    middle = time.perf_counter()
    protocol = Protocol("sisec18@1", METRICS, "dB", KNOWN_STEMS, "median", "median", "NaN")
    ours = {}
    for folder in folders:
        tracks = [
            parse_track(file.read_bytes(), file, track, protocol)
            for track, file in find_files(folder).items()
        ]
        for (stem, metric), values in track_values(protocol, tracks).items():
            ours[folder.name, stem, metric] = combine(list(values.values()), "median")
    ended = time.perf_counter()
    assert len(ours) == len(theirs) == methods * len(STEMS) * len(METRICS)
    worst = max(abs(value - theirs[key]) for key, value in ours.items())
    return middle - began, ended - middle, worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="an empty folder, for the corpus and the results")
    parser.add_argument("--methods", type=int, default=31)
    parser.add_argument("--songs", type=int, default=50)
    parser.add_argument("--museval_methods", type=int, default=2)
    chosen = parser.parse_args()
    corpus, repo = chosen.work / "corpus", chosen.work / "repo"
    size = write_corpus(corpus, chosen.methods, chosen.songs)
    print(f"{chosen.methods * chosen.songs} files, {size / 1e6:.0f} MB", flush=True)
    (repo / "results").mkdir(parents=True)
    header = "method,recipe,dataset,protocol,extra_data,stem,metric,value_db,parameters,source,note"
    (repo / "results" / "papers.csv").write_text(header + "\n")
    print(f"import-museval: {import_all(corpus, repo):.1f} s", flush=True)
    for what in ("build", "build", "verify"):
        seconds, peak = timed(what, "--repo", str(repo))
        print(f"{what}: {seconds:.1f} s, {peak:.0f} MB", flush=True)
    site = sum(file.stat().st_size for file in (repo / "results" / "site").rglob("*.*"))
    print(f"site: {site / 1e6:.1f} MB", flush=True)
    theirs, ours, worst = against_museval(corpus, chosen.museval_methods)
    files = chosen.museval_methods * chosen.songs
    print(f"{files} files: museval {theirs:.1f} s, here {ours:.2f} s, differing by {worst:.1e} dB")


if __name__ == "__main__":
    main()
