"""`mss-eval` on a folder of songs, beside museval on the same: time, memory, and where time goes.

    python songs.py                             four songs of 240 s, museval on two of them
    python songs.py --seconds 5 --songs 2       a smoke test

Both use as many processes as there are cores. The songs are links to one, under names of their
own; memory is that of all processes of a command together, asked for ten times a second.
"""

import argparse
import cProfile
import json
import os
import pstats
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
from bench import NAMES, RATE_HZ, build_museval, make_song

STEMS = ("vocals", "drums", "bass", "other")
PROTOCOLS = {"all four ratios": "bsseval_v4", "SDR alone": "usdr"}
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Functions that do nothing but call the next.
WRAPPERS = ("main", "_run", "_results", "score_works", "work_on", "<genexpr>", "__call__", "_score",
            "score_batch", "score_song", "bsseval", "_score_frames")  # fmt: skip
MUSEVAL = """
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
import museval
import soundfile

STEMS = ("vocals", "drums", "bass", "other")

def score(references, estimates, out):
    sides = [[soundfile.read(f"{side}/{stem}.wav")[0] for stem in STEMS]
             for side in (references, estimates)]
    ratios = museval.evaluate(*sides, win=44_100, hop=44_100)
    named = zip(("SDR", "ISR", "SIR", "SAR"), ratios)
    Path(out).write_text(json.dumps({name: ratio.tolist() for name, ratio in named}))

if __name__ == "__main__":
    root, jobs, *names = sys.argv[1:]
    with ProcessPoolExecutor(int(jobs), get_context("fork")) as pool:
        waiting = [
            pool.submit(score, f"{root}/references/test/{n}", f"{root}/estimates/{n}",
                        f"{root}/museval-{n}.json") for n in names
        ]
        for found in waiting:
            found.result()
"""


def write_songs(root: Path, seconds: int, count: int) -> list[str]:
    """References and estimates below ``root``, as 16-bit wav files; returns the songs' names."""
    from mss_shared import audio

    names = [f"song{number}" for number in range(count)]
    sides = {root / "references" / "test": 0, root / "estimates": 1}
    pair = make_song(seconds)
    for side, which in sides.items():
        for stem, samples in zip(STEMS, pair[which], strict=True):
            audio.write(side / names[0] / f"{stem}.wav", 0.3 * samples, RATE_HZ)
        for name in names[1:]:
            shutil.copytree(side / names[0], side / name, copy_function=os.link)
    return names


def resident(pid: int) -> int:
    """Bytes of a process and those below it; a process that has just ended counts nothing."""
    try:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    own = [int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS")]
    return sum(own) + sum(resident(int(child)) for child in children)


def measure(command: list[str]) -> dict[str, float]:
    """Seconds and the largest memory of a command."""
    began, peak = time.perf_counter(), 0
    with subprocess.Popen(command, env=os.environ | THREADS, stdout=subprocess.DEVNULL) as child:
        while child.poll() is None:
            peak = max(peak, resident(child.pid))
            time.sleep(0.1)
    if child.returncode:
        sys.exit(f"{' '.join(command)} ended with exit code {child.returncode}")
    return {"seconds": time.perf_counter() - began, "gb": peak / 1e9}


def eval_words(root: Path, estimates: Path, protocol: str, jobs: int) -> list[str]:
    words = [str(root / "references"), str(estimates), "--out", str(root / f"scores-{protocol}")]
    return [*words, "--protocol", protocol, "--jobs", str(jobs), "--overwrite"]


def mss_eval(words: list[str]) -> list[str]:
    code = "from mss_shared.cli.mss_eval import main; main()"
    return [sys.executable, "-c", code, *words]


def print_row(what: str, songs: int, found: dict[str, float]) -> None:
    each = found["seconds"] / songs
    print(f"| {what} | {songs} | {found['seconds']:.1f} | {each:.2f} | {found['gb']:.2f} GB |")
    sys.stdout.flush()


def difference(root: Path, name: str) -> float:
    """The largest in dB between museval's scores of a song and ours, over stems and frames."""
    theirs = json.loads((root / f"museval-{name}.json").read_text())
    [path] = (root / "scores-bsseval_v4").rglob(f"{name}.json")
    targets = {
        target["name"]: target["frames"] for target in json.loads(path.read_text())["targets"]
    }
    away = []
    for ratio in NAMES:
        ours = [[frame["metrics"][ratio] for frame in targets[stem]] for stem in STEMS]
        away.append(np.abs(np.array(ours, float) - np.array(theirs[ratio])))
    return float(np.nanmax(away))


def print_profile(root: Path, name: str) -> None:
    """Seconds in each function while one song is scored in this process, on one core.

    On one core; what a thread does shows as waiting for it.
    """
    from mss_shared.cli.mss_eval import main

    alone = root / "alone"
    shutil.copytree(root / "estimates" / name, alone / name)
    words = ["--out", str(root / "profile"), "--jobs", "1", "--fit_length"]
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    profile = cProfile.Profile()
    try:
        with redirect_stdout(StringIO()):
            profile.runcall(main, [str(root / "references"), str(alone), *words])
    except SystemExit:  # the other songs have no estimates there
        pass
    print("\n| function | calls | s in it | s in it and what it calls |\n|---|---|---|---|")
    rows = pstats.Stats(profile).stats.items()
    largest = sorted(rows, key=lambda item: -item[1][2])[:12]
    ours = [item for item in rows if "mss_shared" in item[0][0]]
    ours = [item for item in ours if item[0][2] not in WRAPPERS]
    largest += sorted(ours, key=lambda item: -item[1][3])[:14]
    for (file, _, function), (_, calls, own, total, _) in dict(largest).items():
        print(f"| `{Path(file).stem}: {function}` | {calls} | {own:.2f} | {total:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--songs", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=240)
    parser.add_argument("--museval_songs", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--museval_python", help="a Python that has museval; else one is made")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        names = write_songs(root, given.seconds, given.songs)
        print(f"songs of {given.seconds} s, {given.jobs} processes of {os.cpu_count()} cores\n")
        print("| what | songs | s in all | s per song | memory |\n|---|---|---|---|---|")
        for what, protocol in PROTOCOLS.items():
            words = eval_words(root, root / "estimates", protocol, given.jobs)
            print_row(f"mss-eval, {what}", given.songs, measure(mss_eval(words)))
        some = names[: given.museval_songs]
        if some:
            python = given.museval_python or build_museval(f"{folder}/museval")
            command = [python, "-c", MUSEVAL, folder, str(given.jobs), *some]
            print_row("museval, all four ratios", len(some), measure(command))
            away = max(difference(root, name) for name in some)
            print(f"\nmuseval's scores and ours, rounded to five digits, differ by {away:.0e} dB")
        print_profile(root, names[0])


if __name__ == "__main__":
    main()
