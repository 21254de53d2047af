"""Two implementations take turns in one process: seconds, ratio, distance of the outputs."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from torch import Tensor

HEAD = """| what | ratio | least s, theirs | least s, ours | largest difference |
|---|---|---|---|---|"""


def timed(act: Callable[[], Tensor]) -> tuple[float, Tensor]:
    began = time.perf_counter()
    found = act()
    return time.perf_counter() - began, found.detach()


def compare(
    name: str, ours: Callable[[], Tensor], theirs: Callable[[], Tensor], rounds: int
) -> None:
    spent: dict[str, list[float]] = {"ours": [], "theirs": []}
    outputs: dict[str, Tensor] = {}
    for _ in range(rounds + 1):  # the first round warms up
        for who, act in (("theirs", theirs), ("ours", ours)):
            elapsed, outputs[who] = timed(act)
            spent[who].append(elapsed)
    ratio = median(t / o for t, o in zip(spent["theirs"][1:], spent["ours"][1:], strict=True))
    apart = (outputs["ours"] - outputs["theirs"]).abs().max().item()
    least = [min(spent[who][1:]) for who in ("theirs", "ours")]
    print(f"| {name} | {ratio:.2f} | {least[0]:.2f} | {least[1]:.2f} | {apart:.0e} |", flush=True)


def peak() -> int:
    """This program's own peak; getrusage would count its parent's, from before it was started."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
