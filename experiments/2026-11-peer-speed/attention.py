"""Attention by torch's kernel and written out as batched products, at shapes like the models'.

    python attention.py | tee tables/attention.md          one thread, a few seconds

(sequence, head, position, feature), of the size of a chunk of some seconds. Products go over some
heads at a time, so that what they make stays in the cache; the fastest number is shown.
"""

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from turns import matrix_rate

SHAPES = {
    "BS-RoFormer, time": (60, 8, 346, 64),
    "BS-RoFormer, bands": (346, 8, 60, 64),
    "TF-Locoformer (S), frequency": (126, 4, 257, 32),
    "TF-Locoformer (S), time": (257, 4, 126, 32),
    "BS-Locoformer, time": (61, 8, 128, 32),
    "BS-Locoformer, bands": (128, 8, 61, 32),
    "Moises-Light small, frames": (120, 4, 65, 32),
    "Moises-Light small, bins": (65, 4, 120, 32),
}
AT_ONCE = (1, 4, 16, 64, 4096)  # heads
ROUNDS = 7


def written_out(q: Tensor, k: Tensor, v: Tensor, at_once: int) -> Tensor:
    shape = q.shape
    q, k, v = (x.reshape(-1, *shape[-2:]) for x in (q, k, v))
    out = torch.empty_like(q)
    for first in range(0, len(q), at_once):
        some = slice(first, first + at_once)
        weights = torch.bmm(q[some] * shape[-1] ** -0.5, k[some].mT).softmax(dim=-1)
        torch.bmm(weights, v[some], out=out[some])
    return out.view(shape)


def least(act: Callable[[], Tensor]) -> float:
    """Seconds."""
    spent = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        act()
        spent.append(time.perf_counter() - began)
    return min(spent[1:])


def main() -> None:
    torch.set_num_threads(1)
    print("| what | GMAC | kernel, ms | of matrix rate | written out, ms | heads at once |")
    print("|---" * 6 + "|")
    with torch.inference_mode():
        for what, (count, heads, positions, features) in SHAPES.items():
            made = torch.randn(3, count, positions, heads, features)
            q, k, v = made.transpose(2, 3)
            kernel = least(lambda q=q, k=k, v=v: F.scaled_dot_product_attention(q, k, v))
            ways = {
                some: least(lambda q=q, k=k, v=v, some=some: written_out(q, k, v, some))
                for some in AT_ONCE
            }
            best = min(ways, key=lambda some: ways[some])
            work = 2 * count * heads * positions**2 * features / 1e9
            print(
                f"| {what} | {work:.2f} | {1e3 * kernel:.1f} | {work / kernel / matrix_rate():.0%} "
                f"| {1e3 * ways[best]:.1f} | {min(best, count * heads)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
