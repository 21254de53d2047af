"""The RoPE transformer's formulas with fewer passes over memory than torch's operations take.

Element by element, reading and writing takes longer than the arithmetic. Results agree with the
plain text in transformer.py to rounding. Gradients are written out.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moises_light.watching import watched

EPS = 1e-12  # of F.normalize


def saves_passes(module: nn.Module, x: Tensor) -> bool:
    """Whether the layers of a module need not be called one by one for x.

    Not in half precision, where the plain text says what is rounded when, and not if a hook waits.
    """
    kind = x.device.type
    return (
        x.dtype in (torch.float32, torch.float64)
        and all(parameter.dtype == x.dtype for parameter in module.parameters())
        and torch.amp.is_autocast_available(kind)  # not for tensors without values
        and not torch.is_autocast_enabled(kind)
        and not watched(module)
    )


def linear_of_normed(norm: Any, linear: Any, x: Tensor) -> Tensor:
    """linear(norm(x)) for an RMSNorm, whose gain goes into the far smaller weight."""
    return F.linear(unit(x), linear.weight * gain(norm), linear.bias)


def gain(norm: Any) -> Tensor:
    """What an RMSNorm multiplies unit vectors by, (c)."""
    factor: Tensor = norm.gamma * len(norm.gamma) ** 0.5
    return factor


def unit(x: Tensor) -> Tensor:
    """F.normalize over the last axis, (..., c) -> (..., c), in contiguous memory."""
    y: Tensor = Unit.apply(x)
    return y


class Unit(torch.autograd.Function):
    """F.normalize over the last axis."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """(..., c) -> (..., c)."""
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = norm.clamp_min(EPS).reciprocal_()
        y = torch.mul(x, scale, out=x.new_empty(x.shape))
        ctx.save_for_backward(x, y, scale)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """What remains of the gradient across the unit vector, over the length of x."""
        x, y, scale = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated again
            x = x.view_as(x)  # so that hooks of x itself run only once
            (again,) = torch.autograd.grad(F.normalize(x, dim=-1), x, gradient, create_graph=True)
            return again
        along = (gradient * y).sum(dim=-1, keepdim=True)
        along.masked_fill_(scale > 0.99 / EPS, 0)  # there x is only multiplied
        return (gradient - y * along).mul_(scale)


def project(
    norm: Any, to_qkv: nn.Linear, to_gates: nn.Linear, x: Tensor, rotation: Tensor
) -> tuple[Tensor, ...]:
    """Rotated q and k, v, and gates of an RMSNorm's output, as `RotatedProjection` gives them."""
    weight = torch.cat([to_qkv.weight, to_gates.weight]) * gain(norm)
    outputs = RotatedProjection.apply(unit(x), weight, rotation, len(to_gates.weight))
    q, k, v, gates = outputs
    return q, k, v, gates + to_gates.bias


def add_to_product(x: Tensor, made: Tensor, by: nn.Module) -> Tensor:
    """x + made, in the memory of what a linear layer of `by` made; its gradient takes no output."""
    if x.dtype != made.dtype or x.shape != made.shape or watched(by):
        return x + made
    return made.add_(x)


class RotatedProjection(torch.autograd.Function):
    """A linear layer whose first outputs, the queries and keys, RoPE rotates where they are."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, rotation: Tensor, heads: int
    ) -> tuple[Tensor, ...]:
        """x (sequence, position, c), weight (features, c), complex rotation (position, e / 2).

        The features are those of q, k and v, each (head e), and a gate per head. Returns q, k and
        v, each (sequence, head, position, e), and the gates, (sequence, position, head).
        """
        rotation = rotation.repeat(1, 2 * heads)  # of q's heads and k's
        ctx.save_for_backward(x, weight, rotation)
        y = F.linear(x, weight)
        rotate_first(y, rotation)
        return parts(y, heads)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x and the weight: all parts in one buffer, then rotated back."""
        x, weight, rotation = ctx.saved_tensors
        back = rotation.conj().resolve_conj()
        if torch.is_grad_enabled():  # to be differentiated again
            *heads, gates = gradients
            q, k, v = (gradient.transpose(1, 2).flatten(-2) for gradient in heads)
            turned = torch.view_as_complex(torch.cat([q, k], dim=-1).unflatten(-1, (-1, 2))) * back
            of_y = torch.cat([torch.view_as_real(turned).flatten(-2), v, gates], dim=-1)
            return of_y @ weight, of_y.flatten(0, -2).mT @ x.flatten(0, -2), None, None
        of_y = x.new_empty(*x.shape[:-1], len(weight))
        for part, gradient in zip(parts(of_y, gradients[-1].shape[-1]), gradients, strict=True):
            part.copy_(gradient)
        rotate_first(of_y, back)
        wants_x, wants_weight, *_ = ctx.needs_input_grad
        of_x = of_y @ weight if wants_x else None
        of_weight = of_y.flatten(0, -2).mT @ x.flatten(0, -2) if wants_weight else None
        return of_x, of_weight, None, None


def rotate_first(y: Tensor, rotation: Tensor) -> None:
    """Rotate the first pairs of features in place: (..., features) by (position, pair)."""
    first = y[..., : 2 * rotation.shape[-1]].unflatten(-1, (-1, 2))
    torch.view_as_complex(first).mul_(rotation)


def parts(y: Tensor, heads: int) -> tuple[Tensor, ...]:
    """Views of (sequence, position, 3 head e + head): q, k, v by heads, and gates."""
    width = (y.shape[-1] - heads) // 3
    q, k, v, gates = y.split([width, width, width, heads], dim=-1)
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))
    return q, k, v, gates
