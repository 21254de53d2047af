"""Linear layers that run on oneDNN where that is possible.

Of the two matrix libraries in torch's CPU builds, linear layers get MKL, which on some processors
runs at half the speed of oneDNN. The operator that reaches oneDNN belongs to torch's compiler and
knows no gradient, which is written out here.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"none": nn.Identity(), "gelu": F.gelu}
# Multiply-adds from which a recorded product gains more than its gradient in Python costs.
RECORDED_FROM = 2**25


def product(x: Tensor, weight: Tensor, bias: Tensor | None, activation: str = "none") -> Tensor:
    """activation(x weight^T + bias) by oneDNN, float32, without gradient."""
    algorithm = "none" if activation == "gelu" else ""  # the exact GELU, not tanh's
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], algorithm)
    return found


class Product(torch.autograd.Function):
    """The product and its gradient, all three of them matrix products by oneDNN."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """(..., features in) -> (..., features out)."""
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of input, weight and bias, where they are asked for."""
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        rows, given = gradient.flatten(0, -2), x.flatten(0, -2)
        return (
            product(gradient.contiguous(), weight.mT.contiguous(), None) if of_x else None,
            product(rows.mT.contiguous(), given.mT.contiguous(), None) if of_weight else None,
            rows.sum(dim=0) if of_bias else None,
        )


class Linear(nn.Linear):
    """A linear layer, optionally with the activation after it, in the same pass if it can be."""

    def forward(self, x: Tensor, activation: str = "none") -> Tensor:
        """(..., features in) -> (..., features out); activation is a key of `ACTIVATIONS`."""
        recorded = torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad)
        small = x.numel() * self.out_features < RECORDED_FROM
        if not self.runs_on_onednn(x) or (recorded and small):
            return ACTIVATIONS[activation](super().forward(x))
        if recorded:
            return ACTIVATIONS[activation](Product.apply(x, self.weight, self.bias))
        return product(x, self.weight, self.bias, activation)

    def runs_on_onednn(self, x: Tensor) -> bool:
        """Whether this is a product in float32 on the CPU."""
        return bool(
            x.device.type == "cpu"
            and x.dtype == self.weight.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and torch.backends.mkldnn.is_available()
            and torch.backends.mkldnn.enabled
        )
