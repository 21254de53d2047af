"""Gradients written out: norms, gates and rotary positions in fewer passes over memory.

torch derives a gradient operation by operation and writes each one's result to memory. Here those
of a whole formula are computed together, in memory that is written once. Values are those of the
plain formulas in `blocks`, up to rounding. They can be differentiated again, but not batched
(`is_grads_batched`). `worth_it` says when they are used.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tflocoformer_mss.watching import differs

Formula = Callable[..., Tensor]
CACHED_VALUES = 2**17  # that are worked on together, so that what lies between stays in the cache


def worth_it(x: Tensor) -> bool:
    """Whether a tensor in full precision is recorded on a CPU, for a gradient and nothing else."""
    if differs() or x.dtype != torch.float32 or x.device.type != "cpu":
        return False
    recording = torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    return recording and not torch.is_autocast_enabled("cpu")


def derived(formula: Formula, inputs: Sequence[Tensor], gradient: Tensor) -> list[Tensor | None]:
    """Gradients of a formula's inputs as torch derives them, which can be differentiated."""
    # Views, as hooks of the inputs themselves must run only once.
    views = [each.view_as(each) for each in inputs]
    wanted = [view for view in views if view.requires_grad]
    found = iter(torch.autograd.grad(formula(*views), wanted, gradient, create_graph=True))
    return [next(found) if view.requires_grad else None for view in views]


class GroupNormGradient(torch.autograd.Function):
    """`blocks.RMSGroupNorm`, per group of features z = x / (rms(x) + eps), times gamma.

    With h = gamma times the gradient of the output, that of x is (h - u z) / (rms(x) + eps), where
    u = mean(h x) / rms(x); gamma's is the sum over all positions of z times that of the output.
    """

    @staticmethod
    def forward(
        ctx: Any, formula: Formula, x: Tensor, gamma: Tensor, groups: int, eps: float
    ) -> Tensor:
        """What the formula makes of (..., feature) and gamma (feature), (..., feature)."""
        ctx.formula, ctx.groups, ctx.eps = formula, groups, eps
        grouped = x.unflatten(-1, (groups, -1))
        norm = torch.linalg.vector_norm(grouped, dim=-1, keepdim=True)
        rms = norm.mul_(grouped.shape[-1] ** -0.5)
        scale = (rms + eps).reciprocal_()
        ctx.save_for_backward(x, gamma, rms, scale)
        y = x.new_empty(x.shape)
        torch.mul(grouped, scale, out=y.view(grouped.shape))
        return y.mul_(gamma)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x and gamma."""
        x, gamma, rms, scale = ctx.saved_tensors
        if torch.is_grad_enabled():
            formula = partial(ctx.formula, groups=ctx.groups, eps=ctx.eps)
            return None, *derived(formula, (x, gamma), gradient), None, None
        z = x.unflatten(-1, (ctx.groups, -1)) * scale
        product = gradient.unflatten(-1, (ctx.groups, -1)) * z
        of_gamma = product.reshape(-1, *product.shape[-2:]).sum(dim=0).flatten()
        share = product.mul_(gamma.view(ctx.groups, -1)).mean(dim=-1, keepdim=True)
        # The root mean square has no direction if a group is silent, or too large for its square.
        direct = rms * scale
        share.div_(direct).masked_fill_(~(direct > 0), 0)
        of_x = torch.mul(gradient, gamma, out=product.flatten(-2)).view(z.shape)
        of_x.addcmul_(z, share, value=-1).mul_(scale)
        return None, of_x.flatten(-2), of_gamma, None, None


class SwiGLUGradient(torch.autograd.Function):
    """value * silu(gate) of features that hold both; their gradient is written into one tensor."""

    @staticmethod
    def forward(ctx: Any, formula: Formula, both: Tensor) -> Tensor:
        """What the formula makes of (..., 2 h), (..., h)."""
        ctx.formula = formula
        ctx.save_for_backward(both)
        value, gate = both.chunk(2, dim=-1)
        return torch.nn.functional.silu(gate).mul_(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of both."""
        (both,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            return None, *derived(ctx.formula, (both,), gradient)
        result = torch.empty_like(both, memory_format=torch.contiguous_format)
        rows = max(1, CACHED_VALUES // both.shape[-1])
        parts = (each.reshape(-1, each.shape[-1]).split(rows) for each in (gradient, both, result))
        for given, halves, results in zip(*parts, strict=True):
            (value, gate), (of_value, of_gate) = (x.chunk(2, dim=-1) for x in (halves, results))
            scratch = torch.nn.functional.silu(gate)
            torch.mul(given, scratch, out=of_value)
            torch.mul(given, value, out=scratch)
            torch.ops.aten.silu_backward.grad_input(scratch, gate, grad_input=of_gate)
        return None, result


class HeadsGradient(torch.autograd.Function):
    """Queries, keys and values of all heads; the first two turned by RoPE."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, rotation: Tensor) -> tuple[Tensor, ...]:
        """(n, l, 3, h, a), complex (l, a / 2) -> three of (n, l, h, a)."""
        ctx.save_for_backward(rotation)
        turned = torch.empty_like(qkv, memory_format=torch.contiguous_format)
        torch.mul(pairs(qkv[:, :, :2]), rotation[:, None, None], out=pairs(turned[:, :, :2]))
        turned[:, :, 2] = qkv[:, :, 2]
        return turned.unbind(2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The gradient of qkv; those of queries and keys are turned back."""
        (rotation,) = ctx.saved_tensors
        back = rotation.conj().resolve_conj()[:, None]
        *turned, v = gradients
        if torch.is_grad_enabled():
            qk = (torch.view_as_real(pairs(each) * back).flatten(-2) for each in turned)
            return torch.stack([*qk, v], dim=2), None
        n, length, heads, features = v.shape
        result = v.new_empty(n, length, 3, heads, features)
        for part, each in enumerate(turned):
            torch.mul(pairs(each), back, out=pairs(result[:, :, part]))
        result[:, :, 2] = v
        return result, None


def pairs(x: Tensor) -> Tensor:
    """(..., a) -> (..., a / 2) complex: adjacent features, a view where they lie so in memory."""
    *strides, last = x.stride()
    aligned = last == 1 and not any(n % 2 for n in (x.storage_offset(), *strides))
    return torch.view_as_complex((x if aligned else x.contiguous()).unflatten(-1, (-1, 2)))
