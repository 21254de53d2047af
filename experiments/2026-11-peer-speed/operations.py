"""Where the two models that are least ahead spend their time: torch's operations, on one thread.

    python operations.py

Small Moises-Light, 6 s, and BS-Locoformer, 4 s, as in the comparisons. Shares of one run are little
affected by other programs.
"""

from typing import Any

import moises_light_bench
import tflocoformer_bench
import torch
from torch.profiler import ProfilerActivity, profile
from turns import gmac, matrix_rate, timed

import moises_light

LARGEST = 10  # in each table


def moises_light_small() -> Any:
    kinds = {"ours": moises_light.MoisesLight, "configs": moises_light.configs}
    model = moises_light_bench.build(kinds, "ours", "paper_small")
    return moises_light_bench.separate(model, 6.0)


def bs_locoformer() -> Any:
    model = tflocoformer_bench.build("bs", 4)
    spec = tflocoformer_bench.noise("bs", 4.0)
    return torch.inference_mode()(lambda: model(spec))


def main() -> None:
    torch.set_num_threads(1)
    named = {"Moises-Light small": moises_light_small, "BS-Locoformer": bs_locoformer}
    for name, make in named.items():
        act = make()
        work = gmac(act)
        least = min(timed(act)[0] for _ in range(3))
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            act()
        rows = [row for row in profiler.key_averages() if row.key.startswith("aten::")]
        total = sum(row.self_cpu_time_total for row in rows)
        print(f"{name}: {work:.0f} GMAC, {work / least / matrix_rate():.0%} of the matrix rate\n")
        print("| operation | calls | of the time | MB taken |\n|---|---|---|---|")
        for row in sorted(rows, key=lambda row: -row.self_cpu_time_total)[:LARGEST]:
            share, mb = row.self_cpu_time_total / total, row.cpu_memory_usage / 1e6
            print(f"| `{row.key[6:]}` | {row.count} | {share:.1%} | {mb:.0f} |")
        print(flush=True)


if __name__ == "__main__":
    main()
