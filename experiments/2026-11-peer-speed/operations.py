"""Where the models spend their time, and what that leaves to gain: torch's operations, one thread.

    python operations.py > tables/operations.md       about 12 minutes
    python operations.py --only step --names LaSAFT   training steps of what is named so

Settings are those of the comparisons. Arithmetic is convolutions, matrix products, attention and
recurrent layers; "bound" is how many times as fast arithmetic alone would be. A training step of
the structures that are written out here is profiled, too. Shares of one run, and rates by the
processor's time, are little affected by other programs.
"""

import argparse
from collections.abc import Callable, Iterable
from functools import partial
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

import moises_light
from bs_roformer import BSRoformer, MelBandRoformer
from bs_roformer.cpu_speed import speed_up
from open_unmix import OpenUnmix, Separator

LARGEST = 10  # in each table
LIBRARIES = ("aten::", "mkldnn::")
ARITHMETIC = ("conv", "mm", "linear", "attention", "rnn_layer")  # in the names of what multiplies
Act = Callable[[], Tensor]
MOISES_LIGHT = {"ours": moises_light.MoisesLight, "configs": moises_light.configs}
ROFORMERS = {("ours", kind.__name__): kind for kind in (BSRoformer, MelBandRoformer)}


def moises_light_of(size: str, only: str, who: str) -> Act:
    model = moises_light_bench.build(MOISES_LIGHT, who, size)
    return moises_light_bench.action(model, "separate" if only == "inference" else "step", 6.0)


def roformer(name: str, only: str, who: str) -> Act:
    kinds: dict[Any, Any] = {**ROFORMERS, ("ours", "speed_up"): speed_up}
    model = bs_roformer_bench.build(kinds, who, name, 3)
    if only == "step":
        return bs_roformer_bench.step(model)
    return bs_roformer_bench.separate(model, 4.0)


def locoformer(kind: str, only: str, who: str) -> Act:
    model = tflocoformer_bench.build(kind, 4)
    if only == "step":
        return tflocoformer_bench.step(model, kind, who)
    spec = tflocoformer_bench.noise(kind, 4.0)
    return lambda: torch.view_as_real(model(spec))


def open_unmix_of(only: str, who: str) -> Act:
    if only == "step":
        return open_unmix_bench.step(OpenUnmix(**open_unmix_bench.SIZES))
    separator = open_unmix_bench.build(OpenUnmix, Separator, niter=0)
    audio = open_unmix_bench.noise(60.0)
    return lambda: separator(audio)


def lasaft_net(name: str, only: str, who: str) -> Act:
    build = lasaft_bench.step if only == "step" else lasaft_bench.stems_of_window
    return build(lasaft_bench.build(name, 24), who)


# By what is profiled: name, how it is made, and whose structures there are.
Row = tuple[str, Callable[[str, str], Act], tuple[str, ...]]
OURS, BOTH = ("ours",), ("ours", "theirs")
INFERENCE: list[Row] = [
    ("Moises-Light small, 6 s", partial(moises_light_of, "paper_small"), OURS),
    ("Moises-Light large, 6 s", partial(moises_light_of, "paper_large"), OURS),
    ("BS-RoFormer, 4 s", partial(roformer, "BSRoformer"), OURS),
    ("Mel-Band RoFormer, 4 s", partial(roformer, "MelBandRoformer"), OURS),
    ("TF-Locoformer (S), 4 s", partial(locoformer, "tf"), OURS),
    ("BS-Locoformer, 4 s", partial(locoformer, "bs"), OURS),
    ("Open-Unmix without its filter, 60 s", open_unmix_of, OURS),
    ("LaSAFT-Net, four stems of a window", partial(lasaft_net, lasaft_bench.PUBLISHED), OURS),
]
STEP: list[Row] = [
    ("Moises-Light small, 2 s", partial(moises_light_of, "paper_small"), OURS),
    ("Moises-Light large, 2 s", partial(moises_light_of, "paper_large"), OURS),
    ("Moises-Light fullband, 2 s", partial(moises_light_of, "fullband_large"), OURS),
    ("BS-RoFormer, 2 s", partial(roformer, "BSRoformer"), OURS),
    ("Mel-Band RoFormer, 2 s", partial(roformer, "MelBandRoformer"), OURS),
    ("TF-Locoformer (S), 1 s", partial(locoformer, "tf"), BOTH),
    ("BS-Locoformer, 1 s", partial(locoformer, "bs"), BOTH),
    ("Open-Unmix, 4 x 6 s", open_unmix_of, OURS),
    *((f"LaSAFT-Net, {name}, 2 windows", partial(lasaft_net, name), BOTH)
      for name in lasaft_bench.STEPPED),
]  # fmt: skip
ROWS = {"inference": INFERENCE, "step": STEP}
COLUMNS = """| what | GMAC | of matrix rate | arithmetic, of the time | bound |
|---|---|---|---|---|"""
HEADS = {
    "inference": f"## Inference\n\n{COLUMNS}",
    "step": f"## Training steps, forward and backward\n\n{COLUMNS}",
}


class Profile(NamedTuple):
    """What one model did: its operations, and their seconds in one profiled call."""

    name: str
    gmac: float
    rate: float  # as a share of the matrix rate
    operations: list[Any]
    seconds: float
    arithmetic: float


def seconds_of(rows: Iterable[Any]) -> float:
    return sum(row.self_cpu_time_total for row in rows) / 1e6


def profiled(name: str, act: Act) -> Profile:
    work = gmac(act)
    # The processor's time, which on one thread is that of idle cores.
    rate = work / min(timed(act, process_time)[0] for _ in range(2)) / matrix_rate(process_time)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        act()
    rows = [row for row in profiler.key_averages() if row.key.startswith(LIBRARIES)]
    rows.sort(key=lambda row: -row.self_cpu_time_total)
    products = [row for row in rows if any(kind in row.key for kind in ARITHMETIC)]
    return Profile(name, work, rate, rows, seconds_of(rows), seconds_of(products))


def print_summary(found: Profile) -> None:
    share = found.arithmetic / found.seconds
    line = f"{found.gmac:.0f} | {found.rate:.0%} | {share:.0%} | {1 / share:.2f}"
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
        for who in whose if any(part in name for part in parts) else ():
            act = make(only, who)  # outside, as torch multiplies weights made inside otherwise
            with torch.inference_mode(only == "inference"):
                found = profiled(name if who == "ours" else f"{name}, the reference", act)
            ours += [found] if who == "ours" else []
            print_summary(found)
    for found in ours:
        print_largest(found)
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--names", nargs="+", default=[""], help="parts of the names")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for only in given.only:
        report(only, given.names)


if __name__ == "__main__":
    main()
