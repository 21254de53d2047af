"""Four pairs of stems and what other implementations of the metrics gave for them."""

from __future__ import annotations

import json
from typing import Any

import torch
from safetensors.torch import load_file
from tiny_places import GOLDEN
from torch import Tensor

METRICS = GOLDEN / "metrics"
CASES = ("noisy", "identical", "silent_reference", "poor")
RATE = 44_100
VALUES: dict[str, Any] = json.loads((METRICS / "signal_metrics.json").read_text(encoding="utf-8"))


def references(dtype: torch.dtype = torch.float64) -> Tensor:
    """(case, channel, sample)."""
    return load_file(METRICS / "signal_metrics.safetensors")["references_i16"].to(dtype) / 32_768


def estimates(dtype: torch.dtype = torch.float64) -> Tensor:
    """(case, channel, sample)."""
    return load_file(METRICS / "signal_metrics.safetensors")["estimates_i16"].to(dtype) / 32_768


def mixture(dtype: torch.dtype = torch.float64) -> Tensor:
    """(channel, sample): the song all four cases are of."""
    return load_file(METRICS / "signal_metrics.safetensors")["mixture_i16"].to(dtype) / 32_768


def pair(case: str, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Reference and estimate of one case, each (channel, sample)."""
    place = CASES.index(case)
    return references(dtype)[place], estimates(dtype)[place]


def noise(seed: int, *shape: int) -> Tensor:
    """Standard normal float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
