"""Gradients written out: norms, rotary positions, Fourier transforms in fewer passes over memory.

torch derives a gradient operation by operation and writes each one's result to memory. Here those
of a whole formula are computed together, in memory that is written once. `cpu_speed` and the loss
use them; values are those of the plain formulas, up to rounding. They can be differentiated again,
but not batched (`is_grads_batched`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bs_roformer.watching import differs

Formula = Callable[..., Tensor]
SMALLEST_NORM = 1e-12  # of a vector that is divided by its norm


def derived(formula: Formula, inputs: Sequence[Tensor], gradient: Tensor) -> list[Tensor | None]:
    """Gradients of a formula's inputs as torch derives them, which can be differentiated."""
    # Views, as hooks of the inputs themselves must run only once.
    views = [each.view_as(each) for each in inputs]
    wanted = [view for view in views if view.requires_grad]
    found = iter(torch.autograd.grad(formula(*views), wanted, gradient, create_graph=True))
    return [next(found) if view.requires_grad else None for view in views]


class NormGradient(torch.autograd.Function):
    """`transformer.RMSNorm` of float32 or wider.

    With z = x / rms(x), its gradient is (h - z mean(h z)) / rms(x), where h is gamma times that of
    the output; gamma's is the sum over all positions of z times that of the output.
    """

    @staticmethod
    def forward(ctx: Any, formula: Formula, x: Tensor, gamma: Tensor) -> Tensor:
        """What the formula makes of (..., d) and gamma (d), (..., d)."""
        ctx.formula = formula
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = x.shape[-1] ** 0.5 / norm.clamp(min=SMALLEST_NORM)
        ctx.save_for_backward(x, gamma, norm, scale)
        return (x * scale).mul_(gamma)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x and gamma."""
        x, gamma, norm, scale = ctx.saved_tensors
        if torch.is_grad_enabled():
            return None, *derived(ctx.formula, (x, gamma), gradient)
        z = x * scale
        product = gradient * z
        mean = product @ (gamma / x.shape[-1])
        mean = mean.unsqueeze(-1).masked_fill_(norm < SMALLEST_NORM, 0)  # there, rms is a constant
        of_x = torch.mul(gradient, gamma, out=z.new_empty(z.shape))
        of_x.addcmul_(z, mean, value=-1).mul_(scale)
        return None, of_x, product.reshape(-1, x.shape[-1]).sum(dim=0)


class HeadsGradient(torch.autograd.Function):
    """Queries, keys and values of all heads, the first two turned by `RotaryEmbedding`."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, turn: Tensor) -> tuple[Tensor, ...]:
        """(b, n, 3, h, e), complex (n, 1, 1, e / 2) -> three of (b, n, h, e)."""
        ctx.save_for_backward(turn)
        turned = torch.empty_like(qkv, memory_format=torch.contiguous_format)
        torch.mul(pairs(qkv[:, :, :2]), turn, out=pairs(turned[:, :, :2]))
        turned[:, :, 2] = qkv[:, :, 2]
        return turned.unbind(2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The gradient of qkv; those of queries and keys are turned back."""
        (turn,) = ctx.saved_tensors
        back = turn.conj().resolve_conj().squeeze(1)
        q, k, v = gradients
        if torch.is_grad_enabled():
            turned = (torch.view_as_real(pairs(each) * back).flatten(-2) for each in (q, k))
            return torch.stack([*turned, v], dim=2), None
        b, n, h, e = v.shape
        gradient = v.new_empty(b, n, 3, h, e)
        for part, each in enumerate((q, k)):
            torch.mul(pairs(each), back, out=pairs(gradient[:, :, part]))
        gradient[:, :, 2] = v
        return gradient, None


def pairs(x: Tensor) -> Tensor:
    """(..., e) -> (..., e / 2) complex: adjacent features, a view where they lie so in memory."""
    *strides, last = x.stride()
    aligned = last == 1 and not any(n % 2 for n in (x.storage_offset(), *strides))
    return torch.view_as_complex((x if aligned else x.contiguous()).unflatten(-1, (-1, 2)))


class RealSpectrum(torch.autograd.Function):
    """`torch.fft.rfft` over the last axis, whose gradient is an inverse transform of half the bins.

    torch computes that from all bins, most of them zeros.
    """

    @staticmethod
    def forward(ctx: Any, frames: Tensor) -> Tensor:
        """(..., n) -> (..., n // 2 + 1) complex."""
        ctx.samples = frames.shape[-1]
        return torch.fft.rfft(frames)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The real part of the sum over bins of gradient times exp(2 pi i bin sample / n)."""
        samples = ctx.samples
        # The inverse of a real spectrum counts all bins twice that have a mirror image.
        weight = gradient.real.new_ones(gradient.shape[-1])
        weight[1 : (samples + 1) // 2] = 0.5
        return torch.fft.irfft(gradient * weight, samples, norm="forward")


def short_time_spectrum(x: Tensor, n_fft: int, hop: int, window: Tensor) -> Tensor:
    """(batch, sample) -> (batch, frame, bin): `torch.stft` with a gradient that is faster.

    Args:
        x: at least n_fft // 2 + 1 samples.
        n_fft: samples of a frame.
        hop: samples from frame to frame.
        window: at most as long as a frame, in whose middle it lies.
    """
    left = (n_fft - len(window)) // 2
    window = F.pad(window, (left, n_fft - len(window) - left))
    padded = F.pad(x, (n_fft // 2, n_fft // 2), mode="reflect")
    frames = padded.unfold(-1, n_fft, hop) * window
    if differs():
        return torch.fft.rfft(frames)
    spectrum: Tensor = RealSpectrum.apply(frames)
    return spectrum
