"""Time, memory and precision of a call on a GPU, or on a CPU to try the scripts."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "2026-11-peer-speed"))
from turns import gmac  # noqa: E402, F401  # for the others

PRECISIONS = ("fp32", "bf16", "tf32")
TURN_SECONDS = 0.6  # that the repeats of a call take together, about
MOST_REPEATS = 20
SIDE = {"cuda": 8_192, "cpu": 1_024}  # of the square matrices


@contextmanager
def precision_of(name: str, device: str) -> Iterator[None]:
    """Within the block, float32 without or with TF32, or bfloat16 autocast.

    torch's own default is TF32 in convolutions and not in matrix products.
    """
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name == "tf32"
    try:
        with torch.autocast(device, torch.bfloat16, enabled=name == "bf16"):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def first_call(act: Callable[[], Any], device: str) -> float:
    """Seconds of a first call, compilation included."""
    began = time.perf_counter()
    act()
    wait(device)
    return time.perf_counter() - began


def once(act: Callable[[], Any], device: str) -> float:
    """Milliseconds of a call."""
    if device == "cpu":
        return 1e3 * first_call(act, device)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    act()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end))


def repeats(milliseconds: float) -> int:
    """How often a call of this length is measured."""
    return max(3, min(MOST_REPEATS, round(1e3 * TURN_SECONDS / max(milliseconds, 1e-3))))


def middle(act: Callable[[], Any], device: str) -> float:
    """Median milliseconds of a call that has been made before, after one more to warm up."""
    count = repeats(once(act, device))
    return median(once(act, device) for _ in range(count))


def ratio(theirs: Callable[[], Any], ours: Callable[[], Any], device: str) -> tuple[float, float]:
    """Median milliseconds of both, which take turns after two calls each to warm up."""
    for act in (theirs, ours):
        first_call(act, device)
    count = repeats(once(theirs, device) + once(ours, device))
    turns = [(once(theirs, device), once(ours, device)) for _ in range(count)]
    return median(t for t, _ in turns), median(o for _, o in turns)


def forget_peak(device: str) -> None:
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gb(device: str) -> float | None:
    """Most memory that tensors took since ``forget_peak``, on a GPU."""
    return torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else None


def matrix_rate(precision: str, device: str) -> float:
    """Giga multiply-accumulates per second of a large matrix product, the best of ten."""
    side = SIDE[device]
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    one, other = torch.randn(2, side, side, device=device).to(dtype)
    with precision_of("tf32" if precision == "tf32" else "fp32", device):
        first_call(lambda: one @ other, device)
        return side**3 / 1e6 / min(once(lambda: one @ other, device) for _ in range(10))


def error(found: Tensor, exact: Tensor) -> float:
    """Norm of the difference over that of the exact values."""
    exact = exact.detach().double()
    return float((found.detach().double() - exact).norm() / exact.norm().clamp(min=1e-300))
