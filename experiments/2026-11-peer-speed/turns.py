"""Two implementations take turns in one process: seconds, ratio, distance of the outputs.

How near ours comes to the machine's limit: multiply-accumulates per second (those that
``mss_shared.evaluation.cost`` counts), as a share of what one large matrix product reaches.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from mss_shared.evaluation.cost import flop_counter

HEAD = """| what | ratio | least s, theirs | least s, ours | of matrix rate | largest difference |
|---|---|---|---|---|---|"""
SIDE = 3_072  # of the square matrices
TRIES = 3  # of each peak of memory
Clock = Callable[[], float]


def timed(act: Callable[[], Tensor], clock: Clock = time.perf_counter) -> tuple[float, Tensor]:
    began = clock()
    found = act()
    return clock() - began, found.detach()


@cache
def matrix_rate(clock: Clock = time.perf_counter) -> float:
    """Giga multiply-accumulates per second of a float32 matrix product, the best of five."""
    one, other = torch.randn(2, SIDE, SIDE)
    return SIDE**3 / 1e9 / min(timed(lambda: one @ other, clock)[0] for _ in range(5))


def gmac(act: Callable[[], object]) -> float:
    """Giga multiply-accumulates of a call."""
    counter = flop_counter()
    # In inference mode torch's counter fails at weights that a layer is called with.
    graded = not torch.is_inference_mode_enabled()
    with torch.inference_mode(False), torch.set_grad_enabled(graded), counter:
        act()
    flops: int = counter.get_total_flops()
    return flops / 2e9


def compare(
    name: str, ours: Callable[[], Tensor], theirs: Callable[[], Tensor], rounds: int
) -> None:
    """Print a row; without rounds, of one turn each that nothing precedes or counts."""
    spent: dict[str, list[float]] = {"ours": [], "theirs": []}
    outputs: dict[str, Tensor] = {}
    work = gmac(ours) if rounds else None
    for _ in range(rounds + 1):  # the first round warms up
        for who, act in (("theirs", theirs), ("ours", ours)):
            elapsed, outputs[who] = timed(act)
            spent[who].append(elapsed)
    kept = {who: seconds[min(rounds, 1) :] for who, seconds in spent.items()}
    ratio = median(t / o for t, o in zip(kept["theirs"], kept["ours"], strict=True))
    apart = (outputs["ours"] - outputs["theirs"]).abs().max().item()
    least = [min(kept[who]) for who in ("theirs", "ours")]
    share = "-" if work is None else f"{work / least[1] / matrix_rate():.0%}"
    print(
        f"| {name} | {ratio:.2f} | {least[0]:.2f} | {least[1]:.2f} | {share} | {apart:.0e} |",
        flush=True,
    )


def peak() -> int:
    """This program's own peak; getrusage would count its parent's, from before it was started."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def report_memory(act: Callable[[], object]) -> None:
    """Print the peak of this process before and after a call, interpreter and torch among it."""
    before = peak()
    act()
    print(json.dumps({"before": before, "peak": peak()}))


def compare_memory(script: str, rows: Iterable[tuple[str, ...]], words: Sequence[str]) -> None:
    """Call the script with ``--memory``, each row and the words, in processes of its own.

    Printed is the least of three, as the allocator's luck differs.
    """
    print("\n| peak memory | before | in all |\n|---|---|---|")
    for row in rows:
        command = [sys.executable, script, "--memory", *row, *words]
        tries = [
            json.loads(
                subprocess.run(
                    command, check=True, capture_output=True, text=True
                ).stdout.splitlines()[-1]
            )
            for _ in range(TRIES)
        ]
        line = " | ".join(
            f"{min(t[key] for t in tries) / 1e9:.2f} GB" for key in ("before", "peak")
        )
        print(f"| {', '.join(row)} | {line} |", flush=True)
