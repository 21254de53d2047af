"""Seconds per song from file to files: our five commands at published and demo size, and others'.

    python run.py                                  two threads: needs idle cores
    python run.py --seconds 6 --only demo          a smoke test

Rows are appended to songs.csv as they come. Other people's packages are installed into a temporary
folder, which is removed at the end.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from inputs import write_moises_light, write_openunmix, write_song, write_weights

HERE = Path(__file__).parent
STEMS = ("vocals", "drums", "bass", "other")
PUBLISHED = {
    "open_unmix": tuple(f"umxhq_{stem}" for stem in STEMS),
    "moises_light": ("paper_large_vocals",),
    "bs_roformer": ("paper_bs_l6_vocals",),
    "tflocoformer_mss": ("bs_musdb18hq",),
    "lasaft": ("paper_gpocm_lasaft",),
}
PEERS = ("openunmix", "moises_light", "bs_roformer", "htdemucs")
PINS = ("openunmix==1.3.0", "moises-light==0.1.5", "BS-RoFormer==0.4.1", "beartype",
        "demucs==4.1.0", "julius==0.2.8")  # fmt: skip
WITH_DEPENDENCIES = ("librosa==0.11.0",)  # which BS-RoFormer imports
KINDS = ("published", "peer", "demo")
COLUMNS = ("kind", "what", "stems", "song_seconds", "seconds", "start_seconds", "network_seconds",
           "outside_percent", "peak_gb")  # fmt: skip


def install(folder: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "-q", "--target", folder]
    subprocess.run([*command, "--no-deps", *PINS], check=True)
    subprocess.run([*command, *WITH_DEPENDENCIES], check=True)


def measure(words: list[str], folder: Path, threads: int, peer: str = "") -> dict[str, float]:
    """Run a child in a process of its own, and read its clock."""
    clock, path = folder / "clock.json", os.environ.get("PYTHONPATH", "")
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (peer, path)))
    began, child = time.perf_counter(), str(HERE / words[0])
    command = [sys.executable, child, str(clock), repr(time.time()), *words[1:]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(clock.read_text())
    return found | {"seconds": seconds}


def ours(package: str, recipes: tuple[str, ...], song: Path, folder: Path, threads: int):
    """The clock of our command, on untrained weights of these recipes."""
    files = [folder / f"{package}-{recipe}.safetensors" for recipe in recipes]
    for recipe, file in zip(recipes, files, strict=True):
        if not file.is_file():
            write_weights(package, recipe, file)
    words = ["our_command.py", package, "separate", str(song), "--checkpoint", *map(str, files)]
    return measure([*words, "--out", str(folder / package), "--overwrite"], folder, threads)


def row(
    kind: str, what: str, stems: int, song: float, found: dict[str, float]
) -> dict[str, object]:
    after = found["seconds"] - found["start"]
    return {
        "kind": kind,
        "what": what,
        "stems": stems,
        "song_seconds": f"{song:g}",
        "seconds": f"{found['seconds']:.2f}",
        "start_seconds": f"{found['start']:.2f}",
        "network_seconds": f"{found['network']:.2f}",
        "outside_percent": f"{100 * (1 - found['network'] / after):.1f}",
        "peak_gb": f"{found['peak'] / 1e9:.2f}",
    }


def rows(given: argparse.Namespace, folder: Path, song: Path):
    """One after another, as they are measured."""
    for kind in given.only:
        if kind == "peer":
            install(str(folder / "peer"))
            write_openunmix(folder / "umx", STEMS)
            write_moises_light(folder / "umx" / "moises_light.json")
            for name in PEERS:
                out = folder / f"peer-{name}"
                words = ["peer_command.py", name, str(song), str(out), str(folder / "umx")]
                found = measure(words, folder, given.threads, str(folder / "peer"))
                written = len([*out.rglob("*.wav")])
                yield row(kind, name, written, given.seconds, found)
            continue
        for package in given.packages:
            wanted = PUBLISHED[package] if kind == "published" else ("demo",)
            found = ours(package, wanted, song, folder, given.threads)
            written = len([*(folder / package).rglob("*.wav")])
            what = f"{package}: {' + '.join(wanted)}"
            yield row(kind, what, written, given.seconds, found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--seconds", type=float, default=40.0, help="of the song")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--packages", nargs="+", choices=PUBLISHED, default=list(PUBLISHED))
    parser.add_argument("--out", type=Path, default=HERE / "songs.csv")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, given.out.open("a", newline="") as file:
        song = Path(folder) / "song.wav"
        write_song(song, given.seconds)
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not file.tell():
            table.writeheader()
        print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|", flush=True)
        for found in rows(given, Path(folder), song):
            table.writerow(found)
            file.flush()
            print(f"| {' | '.join(map(str, found.values()))} |", flush=True)


if __name__ == "__main__":
    main()
