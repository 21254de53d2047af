"""Where the models spend their time, and what that leaves to gain: torch's operations, one thread.

    python operations.py > tables/operations.md       about 25 minutes
    python operations.py --only step --names LaSAFT   training steps of what is named so

Settings are those of the comparisons. Arithmetic is convolutions, matrix products, attention and
recurrent layers. Theirs are profiled, too, where they do the same arithmetic; their packages are
installed into a temporary folder. "Ratio" is their seconds over ours on one thread, in turns, the
median of three; "limit" is what it would be if ours had nothing but its arithmetic.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from statistics import median
from time import process_time
from typing import Any, NamedTuple

import bs_roformer_bench
import lasaft_bench
import moises_light_bench
import open_unmix_bench
import tflocoformer_bench
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from turns import gmac, matrix_rate, timed

LARGEST = 10  # in each table
TURNS = 3
LIBRARIES = ("aten::", "mkldnn::")
ARITHMETIC = ("conv", "mm", "linear", "attention", "rnn_layer")  # in the names of what multiplies
Act = Callable[[], Tensor]
NETWORKS: dict[Any, dict[Any, Any]] = {}  # of a comparison that installs a package: both sides'


def moises_light_of(size: str, only: str, who: str) -> Act:
    model = moises_light_bench.build(NETWORKS[moises_light_bench], who, size)
    return moises_light_bench.action(model, "separate" if only == "inference" else "step", 6.0)


def roformer(name: str, only: str, who: str) -> Act:
    model = bs_roformer_bench.build(NETWORKS[bs_roformer_bench], who, name, 3)
    if only == "step":
        return bs_roformer_bench.step(model)
    return bs_roformer_bench.separate(model, 4.0)


def locoformer(kind: str, only: str, who: str) -> Act:
    model = tflocoformer_bench.build(kind, 4)
    if only == "step":
        return tflocoformer_bench.step(model, kind, who)
    spec = tflocoformer_bench.noise(kind, 4.0)
    if who == "ours":
        return lambda: torch.view_as_real(model(spec))
    return lambda: torch.view_as_real(tflocoformer_bench.reference(model, spec, True))


def open_unmix_of(only: str, who: str) -> Act:
    network, wrapper = NETWORKS[open_unmix_bench][who]
    if only == "step":
        return open_unmix_bench.step(network(**open_unmix_bench.SIZES))
    separator = open_unmix_bench.build(network, wrapper, niter=0)
    audio = open_unmix_bench.noise(60.0)
    return lambda: separator(audio)


def lasaft_net(name: str, only: str, who: str) -> Act:
    build = lasaft_bench.step if only == "step" else lasaft_bench.stems_of_window
    return build(lasaft_bench.build(name, 24), who)


# By what is profiled: name, how it is made, and whose structures there are.
Row = tuple[str, Callable[[str, str], Act], tuple[str, ...]]
OURS, BOTH = ("ours",), ("ours", "theirs")
INFERENCE: list[Row] = [
    ("Moises-Light small, 6 s", partial(moises_light_of, "paper_small"), BOTH),
    ("Moises-Light large, 6 s", partial(moises_light_of, "paper_large"), BOTH),
    ("Moises-Light fullband, 6 s", partial(moises_light_of, "fullband_large"), BOTH),
    ("BS-RoFormer, 4 s", partial(roformer, "BSRoformer"), BOTH),
    ("Mel-Band RoFormer, 4 s", partial(roformer, "MelBandRoformer"), BOTH),
    ("TF-Locoformer (S), 4 s", partial(locoformer, "tf"), BOTH),
    ("BS-Locoformer, 4 s", partial(locoformer, "bs"), BOTH),
    ("Open-Unmix without its filter, 60 s", open_unmix_of, BOTH),
    ("LaSAFT-Net, four stems of a window", partial(lasaft_net, lasaft_bench.PUBLISHED), OURS),
]
STEP: list[Row] = [
    ("Moises-Light small, 2 s", partial(moises_light_of, "paper_small"), BOTH),
    ("Moises-Light large, 2 s", partial(moises_light_of, "paper_large"), BOTH),
    ("Moises-Light fullband, 2 s", partial(moises_light_of, "fullband_large"), BOTH),
    ("BS-RoFormer, 2 s", partial(roformer, "BSRoformer"), BOTH),
    ("Mel-Band RoFormer, 2 s", partial(roformer, "MelBandRoformer"), BOTH),
    ("TF-Locoformer (S), 1 s", partial(locoformer, "tf"), BOTH),
    ("BS-Locoformer, 1 s", partial(locoformer, "bs"), BOTH),
    ("Open-Unmix, 4 x 6 s", open_unmix_of, BOTH),
    *((f"LaSAFT-Net, {name}, 2 windows", partial(lasaft_net, name), BOTH)
      for name in lasaft_bench.STEPPED),
]  # fmt: skip
ROWS = {"inference": INFERENCE, "step": STEP}
COLUMNS = """| what | GMAC | of matrix rate | arithmetic, of the time | ratio | limit |
|---|---|---|---|---|---|"""
HEADS = {
    "inference": f"## Inference\n\n{COLUMNS}",
    "step": f"## Training steps, forward and backward\n\n{COLUMNS}",
}


class Profile(NamedTuple):
    """What one model did: its operations, and their seconds in one profiled call."""

    name: str
    gmac: float
    spent: list[float]  # seconds of the processor, unprofiled
    operations: list[Any]
    seconds: float  # profiled
    arithmetic: float


def seconds_of(rows: Iterable[Any]) -> float:
    return sum(row.self_cpu_time_total for row in rows) / 1e6


def in_turns(acts: dict[str, Act]) -> dict[str, list[float]]:
    """Seconds of the processor, which on one thread are those of idle cores, of each turn."""
    spent: dict[str, list[float]] = {who: [] for who in acts}
    for _ in range(TURNS):
        for who, act in acts.items():
            spent[who].append(timed(act, process_time)[0])
    return spent


def profiled(name: str, act: Act, work: float, spent: list[float]) -> Profile:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        act()
    rows = [row for row in profiler.key_averages() if row.key.startswith(LIBRARIES)]
    rows.sort(key=lambda row: -row.self_cpu_time_total)
    products = [row for row in rows if any(kind in row.key for kind in ARITHMETIC)]
    return Profile(name, work, spent, rows, seconds_of(rows), seconds_of(products))


def print_summary(found: Profile, reference: Profile | None = None) -> None:
    share = found.arithmetic / found.seconds
    rate = found.gmac / min(found.spent) / matrix_rate(process_time)
    ratio, limit = "-", "-"
    if reference is not None:
        times = median(t / o for t, o in zip(reference.spent, found.spent, strict=True))
        ratio, limit = f"{times:.2f}", f"{times / share:.2f}"
    line = f"{found.gmac:.0f} | {rate:.0%} | {share:.0%} | {ratio} | {limit}"
    print(f"| {found.name} | {line} |", flush=True)


def print_largest(found: Profile) -> None:
    print(f"\n{found.name}\n")
    print("| operation | calls | of the time | MB taken |\n|---|---|---|---|")
    for row in found.operations[:LARGEST]:
        share, mb = seconds_of([row]) / found.seconds, row.cpu_memory_usage / 1e6
        print(f"| `{row.key.split('::')[1]}` | {row.count} | {share:.1%} | {mb:.0f} |")


def report(only: str, parts: list[str]) -> None:
    """All models of one kind whose names have one of the parts: the summary, then each."""
    print(HEADS[only])
    ours = []
    for name, make, whose in ROWS[only]:
        if not any(part in name for part in parts):
            continue
        found = {}
        # Made outside of inference mode, in which torch multiplies weights that are made there.
        acts = {who: make(only, who) for who in whose}
        with torch.inference_mode(only == "inference"):
            work = {who: gmac(act) for who, act in acts.items()}  # also warms up
            spent = in_turns(acts)
            for who, act in acts.items():
                title = name if who == "ours" else f"{name}, the reference"
                found[who] = profiled(title, act, work[who], spent[who])
        ours.append(found["ours"])
        print_summary(found["ours"], found.get("theirs"))
        if "theirs" in found:
            print_summary(found["theirs"])
    for each in ours:
        print_largest(each)
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--names", nargs="+", default=[""], help="parts of the names")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for bench in (moises_light_bench, bs_roformer_bench, open_unmix_bench):
            bench.install(f"{folder}/{bench.__name__}")
            NETWORKS[bench] = bench.networks(f"{folder}/{bench.__name__}")
        for only in given.only:
            report(only, given.names)


if __name__ == "__main__":
    main()
