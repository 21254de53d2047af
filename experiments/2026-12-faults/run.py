"""Kill, fill up and falsify, many times, and count what must happen and what happened.

Every try is one command in a process of its own. The table says, by kind of fault, how many tries
there were, what must happen, and in how many it did; tries that are in the table are not repeated.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "shared/tests/tiny"))
from bench import Bench, content, left_over
from checkpoints import odd_checkpoint

from mss_shared.testing_mutations import mutate_bytes, mutate_json

COLUMNS = ("fault", "tries", "must happen", "happened")
STOPPED = "143 or 130, or 0 if it was done, and nothing is left"
RERUN = "a further run ends with 0 and the same bytes, nothing is left"
OPENS = "0, and the run is scored; or one sentence and 2, within 10 s and 2 GB"
SENTENCE = "0, or one sentence and 2, within 10 s and 2 GB"
TWICE = f"{SENTENCE}, and one of them 0; {RERUN}"
Try = Callable[[Bench, random.Random], str]  # what is wrong, empty if nothing


def killed(name: str) -> Try:
    """SIGKILL at a random moment, and again while going on; then a run that is left alone."""

    def attempt(bench: Bench, choose: random.Random) -> str:
        out, command = bench.fresh(), bench.commands()[name]
        for _ in range(choose.randint(1, 2)):
            if bench.do(
                command(out), kill_after=choose.random() * bench.seconds[name]
            ).workers_left:
                return "worker processes are left"
        return finished(bench, name, out)

    return attempt


def stopped(name: str) -> Try:
    """SIGTERM or Ctrl-C at a random moment, once or twice; then a run that is left alone."""

    def attempt(bench: Bench, choose: random.Random) -> str:
        out, command = bench.fresh(), bench.commands()[name]
        number = choose.choice((signal.SIGTERM, signal.SIGINT))
        moment, times = choose.random() * bench.seconds[name], choose.randint(1, 2)
        ending = bench.do(command(out), kill_after=moment, stop=(number,) * times)
        if ending.workers_left:
            return "worker processes are left"
        if ending.code not in (0, 128 + number) or "Traceback" in ending.printed:
            return f"exit code {ending.code} after signal {number}: {ending.printed}"
        left = left_over(out)
        said = f"after exit code {ending.code}, signal {number} at {moment:.3f} s: {ending.printed}"
        return f"{left[0]} is left {said}" if left else finished(bench, name, out)

    return attempt


def full(name: str) -> Try:
    """No file may become larger than a random size, as if the disk were full."""

    def attempt(bench: Bench, choose: random.Random) -> str:
        out, command = bench.fresh(), bench.commands()[name]
        ending = bench.do(command(out), file_bytes=int(2 ** choose.uniform(6, 17)))
        left = [each for each in left_over(out) if not each.endswith(".lock")]
        if ending.fault(0) or left:
            return ending.fault(0) or f"{left[0]} is left"
        return finished(bench, name, out)

    return attempt


def twice(name: str) -> Try:
    """Two of one command into one folder, the second at a random moment of the first."""

    def attempt(bench: Bench, choose: random.Random) -> str:
        out, command = bench.fresh(), bench.commands()[name]
        endings = bench.do_two(command(out), choose.random() * bench.seconds[name])
        for ending in endings:
            if ending.fault(0):
                return ending.fault(0)
        if all(ending.code for ending in endings):
            return f"neither of two ends with 0: {endings[0].said}, {endings[1].said}"
        return finished(bench, name, out)

    return attempt


def finished(bench: Bench, name: str, out: Path) -> str:
    """What is wrong after a run that nothing disturbs."""
    if name == "mss-results import-museval" and content(out) == bench.expected[name]:
        return ""  # it was done, and does not import the same scores again
    ending = bench.do(bench.commands()[name](out))
    if ending.code != 0:
        return f"exit code {ending.code}: {ending.printed}"
    if content(out) != bench.expected[name]:
        return "other bytes"
    left = left_over(out)
    return f"{left[0]} is left" if left else ""


def odd_file(name: str, file: str, odd: Callable[[bytes, random.Random], bytes]) -> Try:
    """A command that goes on from, or reads, a folder in which one file is odd."""

    def attempt(bench: Bench, choose: random.Random) -> str:
        like = bench.run if name == "fit" else bench.root / f"expected-{name}"
        out = bench.fresh(like)
        for done in ("model.safetensors", "run.json"):
            (out / done).unlink(missing_ok=True)
        [path] = out.rglob(file)
        path.write_bytes(odd(path.read_bytes(), choose))
        ending = bench.do(bench.commands()[name](out))
        return ending.fault(0) or (scored(bench, out) if (name, ending.code) == ("fit", 0) else "")

    return attempt


def scored(bench: Bench, run: Path) -> str:
    """What is wrong with the scores of a run that ended well."""
    ending = bench.do([*bench.evaluate(bench.root / "scores", run), "--overwrite"])
    return ending.fault(0) or (f"the run can't be scored: {ending.said}" if ending.code else "")


def odd_weights(file: str) -> Try:
    """Scores of a run whose weights or checkpoint are odd."""

    def attempt(bench: Bench, choose: random.Random) -> str:
        folder = bench.fresh(bench.run)
        path = folder / file
        odd = odd_checkpoint if path.suffix == ".ckpt" else mutate_bytes
        path.write_bytes(odd(path.read_bytes(), choose))
        source = path if path.suffix == ".ckpt" else folder
        words = bench.evaluate(bench.root / "scores", source)
        return bench.do([*words, "--overwrite"]).fault(0)

    return attempt


def odd_song(bench: Bench, choose: random.Random) -> str:
    """One song of six is odd; 1 is allowed for no fault, and the others are separated."""
    out, songs = bench.fresh(), bench.root / "odd"
    songs.mkdir(exist_ok=True)
    source = choose.choice(sorted(bench.inputs.iterdir()))
    (songs / "a.wav").write_bytes(mutate_bytes(source.read_bytes(), choose))
    words = bench.separate(out)
    return bench.do([words[0], str(songs), *words[2:]]).fault(0)


def odd_recipe(bench: Bench, choose: random.Random) -> str:
    """Training by an odd recipe, stopped by its first fault."""
    path = bench.root / "odd.yaml"
    path.write_bytes(mutate_bytes((bench.run / "recipe.yaml").read_bytes(), choose))
    out = bench.fresh()
    ending = bench.do([*bench.fit(out), "--recipe", str(path)])
    return ending.fault(0) or ("" if ending.code else scored(bench, out))


def odd_json(content: bytes, choose: random.Random) -> bytes:
    """A JSON file, or one of JSON lines, with a fault in one of its values or bytes."""
    *before, last = content.splitlines()
    if len(before) and content.startswith(b'{"'):
        return b"\n".join([*before, mutate_json(json.loads(last), choose)]) + b"\n"
    return mutate_json(json.loads(content), choose)


FAULTS: dict[str, tuple[str, Try]] = {
    "separate is killed": (RERUN, killed("separate")),
    "fit is killed": (RERUN, killed("fit")),
    "evaluate is killed": (RERUN, killed("evaluate")),
    "mss-eval --jobs 2 is killed": (RERUN, killed("mss-eval --jobs 2")),
    "mss-results import-museval is killed": (RERUN, killed("mss-results import-museval")),
    "mss-results build is killed": (RERUN, killed("mss-results build")),
    "open-unmix export is killed": (RERUN, killed("open-unmix export")),
    "separate is stopped": (f"{STOPPED}; {RERUN}", stopped("separate")),
    "fit is stopped": (f"{STOPPED}; {RERUN}", stopped("fit")),
    "evaluate is stopped": (f"{STOPPED}; {RERUN}", stopped("evaluate")),
    "mss-eval --jobs 2 is stopped": (f"{STOPPED}; {RERUN}", stopped("mss-eval --jobs 2")),
    "mss-results import-museval is stopped": (
        f"{STOPPED}; {RERUN}",
        stopped("mss-results import-museval"),
    ),
    "mss-results build is stopped": (f"{STOPPED}; {RERUN}", stopped("mss-results build")),
    "open-unmix export is stopped": (f"{STOPPED}; {RERUN}", stopped("open-unmix export")),
    "separate on a full disk": (f"{SENTENCE}; {RERUN}", full("separate")),
    "fit on a full disk": (f"{SENTENCE}; {RERUN}", full("fit")),
    "evaluate on a full disk": (f"{SENTENCE}; {RERUN}", full("evaluate")),
    "mss-eval --jobs 2 on a full disk": (f"{SENTENCE}; {RERUN}", full("mss-eval --jobs 2")),
    "mss-results import-museval on a full disk": (
        f"{SENTENCE}; {RERUN}",
        full("mss-results import-museval"),
    ),
    "mss-results build on a full disk": (f"{SENTENCE}; {RERUN}", full("mss-results build")),
    "open-unmix export on a full disk": (f"{SENTENCE}; {RERUN}", full("open-unmix export")),
    "two of separate in one folder": (TWICE, twice("separate")),
    "two of fit in one folder": (TWICE, twice("fit")),
    "two of evaluate in one folder": (TWICE, twice("evaluate")),
    "two of mss-eval --jobs 2 in one folder": (TWICE, twice("mss-eval --jobs 2")),
    "fit --resume from an odd last.ckpt": (OPENS, odd_file("fit", "last.ckpt", odd_checkpoint)),
    "fit --resume with an odd begun.json": (OPENS, odd_file("fit", "begun.json", odd_json)),
    "fit --resume with an odd metrics.csv": (
        OPENS,
        odd_file("fit", "metrics.csv", mutate_bytes),
    ),
    "separate after an odd separated.jsonl": (
        SENTENCE,
        odd_file("separate", "separated.jsonl", odd_json),
    ),
    "evaluate of an odd last.ckpt": (SENTENCE, odd_weights("last.ckpt")),
    "evaluate of an odd model.safetensors": (SENTENCE, odd_weights("model.safetensors")),
    "separate an odd wav file": (SENTENCE, odd_song),
    "fit by an odd recipe": (OPENS, odd_recipe),
}


def read(table: Path) -> dict[str, list[str]]:
    """The rows so far, by fault: tries and how many were right."""
    if not table.exists():
        return {}
    with table.open(encoding="utf-8", newline="") as file:
        return {row["fault"]: [row["tries"], row["happened"]] for row in csv.DictReader(file)}


def write(table: Path, rows: dict[str, list[str]]) -> None:
    """All rows, in the order of the faults."""
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name in (name for name in FAULTS if name in rows):
            writer.writerow([name, rows[name][0], FAULTS[name][0], rows[name][1]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, default=Path(__file__).with_name("table.csv"))
    parser.add_argument("--tries", type=int, default=100, help="of each kind, with those made")
    parser.add_argument("--minutes", type=float, default=15.0, help="begin no try after this")
    parser.add_argument("--only", default="", help="kinds whose name has this in it")
    arguments = parser.parse_args()
    end, rows = time.monotonic() + 60.0 * arguments.minutes, read(arguments.table)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        kinds = [name for name in FAULTS if arguments.only in name]
        for number in range(arguments.tries):
            for name in kinds:
                tries, right = map(int, rows.get(name, ["0", "0"]))
                if tries > number or time.monotonic() > end:
                    continue
                wrong = FAULTS[name][1](bench, random.Random(f"{name} {number}"))
                rows[name] = [str(tries + 1), str(right + (not wrong))]
                if wrong:
                    print(f"{name}, try {number}: {wrong}", flush=True)
                write(arguments.table, rows)


if __name__ == "__main__":
    main()
