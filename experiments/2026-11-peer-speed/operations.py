"""Where the models that are not twice as fast spend their time: torch's operations, on one thread.

    python operations.py

Moises-Light, 6 s, BS-Locoformer and Mel-Band RoFormer, 4 s, and LaSAFT-Net, four stems of one
window, as in the comparisons. Shares of one run are little affected by other programs.
"""

from functools import partial
from typing import Any

import bs_roformer_bench
import lasaft_bench
import moises_light_bench
import tflocoformer_bench
import torch
from torch.profiler import ProfilerActivity, profile
from turns import gmac, matrix_rate, timed

import moises_light
from bs_roformer import MelBandRoformer
from bs_roformer.cpu_speed import speed_up

LARGEST = 10  # in each table
LIBRARIES = ("aten::", "mkldnn::")
ARITHMETIC = ("conv", "mm", "linear", "attention")  # in the names of what multiplies matrices


def moises_light_of(size: str) -> Any:
    kinds = {"ours": moises_light.MoisesLight, "configs": moises_light.configs}
    return moises_light_bench.separate(moises_light_bench.build(kinds, "ours", size), 6.0)


def lasaft_net() -> Any:
    return lasaft_bench.stems_of_window(lasaft_bench.build(lasaft_bench.PUBLISHED, 24), "ours")


def bs_locoformer() -> Any:
    model = tflocoformer_bench.build("bs", 4)
    spec = tflocoformer_bench.noise("bs", 4.0)
    return torch.inference_mode()(lambda: model(spec))


def mel_band_roformer() -> Any:
    kinds = {("ours", "MelBandRoformer"): MelBandRoformer, ("ours", "speed_up"): speed_up}
    model = bs_roformer_bench.build(kinds, "ours", "MelBandRoformer", 3)
    audio = bs_roformer_bench.noise(4.0)
    return torch.inference_mode()(lambda: model(audio))


def main() -> None:
    torch.set_num_threads(1)
    named = {
        "Moises-Light small": partial(moises_light_of, "paper_small"),
        "Moises-Light large": partial(moises_light_of, "paper_large"),
        "BS-Locoformer": bs_locoformer,
        "Mel-Band RoFormer": mel_band_roformer,
        "LaSAFT-Net": lasaft_net,
    }
    for name, make in named.items():
        act = make()
        work = gmac(act)
        least = min(timed(act)[0] for _ in range(3))
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            act()
        rows = [row for row in profiler.key_averages() if row.key.startswith(LIBRARIES)]
        total = sum(row.self_cpu_time_total for row in rows)
        multiplied = sum(
            row.self_cpu_time_total for row in rows if any(kind in row.key for kind in ARITHMETIC)
        )
        print(
            f"{name}: {work:.0f} GMAC, {work / least / matrix_rate():.0%} of the matrix rate; "
            f"convolutions, products and attention take {multiplied / total:.0%} of the time\n"
        )
        print("| operation | calls | of the time | MB taken |\n|---|---|---|---|")
        for row in sorted(rows, key=lambda row: -row.self_cpu_time_total)[:LARGEST]:
            share, mb = row.self_cpu_time_total / total, row.cpu_memory_usage / 1e6
            print(f"| `{row.key.split('::')[1]}` | {row.count} | {share:.1%} | {mb:.0f} |")
        print(flush=True)


if __name__ == "__main__":
    main()
