"""The first call of each elementary function of torch, made by one thread.

Torch's CPU builds compute sin, exp and their like with a library (MKL's vector functions, before
its version 2025) that chooses how to compute a function when it is first called. If several threads
make that call together, one of them may use a routine that is wrong by 1e-4; so was the window of a
short-time Fourier transform in some of the processes of ``experiments/2026-12-first-calls``.

Source: github.com/pytorch/pytorch/issues/188792.
"""

from __future__ import annotations

from functools import cache

import torch

FUNCTIONS = (
    "acos acosh asin asinh atan atanh ceil cos cosh erf erfc erfinv exp exp2 expm1 floor lgamma "
    "log log10 log1p log2 round rsqrt sin sinh sqrt tan tanh trunc"
).split()
DTYPES = (torch.float32, torch.float64)


@cache
def make_first_calls() -> None:
    """Call every function once, on a single number, which no threads share."""
    for dtype in DTYPES:
        number = torch.full((1,), 1.0, dtype=dtype, device="cpu")
        for name in FUNCTIONS:
            getattr(number, name)()
