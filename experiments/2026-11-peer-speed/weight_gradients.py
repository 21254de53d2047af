"""A training step of BS-RoFormer by who computes the linear layers' products and gradients.

    python weight_gradients.py    three layers, two threads: needs idle cores

oneDNN takes both matrices of a weight's gradient transposed, as copies. The ways take turns;
printed are the median and the least seconds of each.
"""

import statistics
import time
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from bs_roformer import BSRoformer, cpu_speed
from mss_shared.heap import keep_freed_memory

ROUNDS = 4


class CopyingLinear(cpu_speed.RecordedLinear):
    """With the weight's gradient on oneDNN, too."""

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, _, of_bias = ctx.needs_input_grad
        rows, x_rows = gradient.flatten(0, -2), x.flatten(0, -2)
        product = cpu_speed.linear_onednn
        return (
            product(gradient.contiguous(), weight.mT.contiguous(), None) if of_x else None,
            product(rows.mT.contiguous(), x_rows.mT.contiguous(), None),
            rows.sum(dim=0) if of_bias else None,
        )


# By name: what is replaced in cpu_speed.
WAYS: dict[str, dict[str, Any]] = {
    "oneDNN, the weights' gradients by MKL (ours)": {"RECORDED_FROM": cpu_speed.RECORDED_FROM},
    "oneDNN alone, with transposed copies": {"RecordedLinear": CopyingLinear},
    "MKL alone": {"RECORDED_FROM": 2**62},  # no product is as large
}


def build() -> nn.Module:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"dim": 384, "depth": 3, "stereo": True, "num_stems": 1}
    sizes |= {"time_transformer_depth": 1, "freq_transformer_depth": 1, "stft_hop_length": 441}
    model = BSRoformer(**sizes)
    cpu_speed.speed_up(model)
    return model.train()


def step_seconds(model: nn.Module, audio: Tensor) -> float:
    began = time.perf_counter()
    model.zero_grad()
    model(audio, target=0.5 * audio).backward()
    return time.perf_counter() - began


def main() -> None:
    keep_freed_memory()
    model, audio = build(), 0.1 * torch.randn(1, 2, 88_200)
    spent: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way, changes in WAYS.items():
            with patch.multiple(cpu_speed, **changes):
                spent[way].append(step_seconds(model, audio))
    print("| products by | median s | least s |\n|---|---|---|")
    for way, found in spent.items():
        print(f"| {way} | {statistics.median(found):.2f} | {min(found):.2f} |")


if __name__ == "__main__":
    main()
