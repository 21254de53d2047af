"""What is computed otherwise where nothing is trained: norms in convolutions, and in place."""

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class ConvNormAct(nn.Module):
    """A 2-d convolution, plain or transposed, then a norm and an activation.

    In evaluation, batch norm scales and shifts by constants. On a CPU and without gradients they
    go into the weights of the one call, which saves a pass over the feature maps; the parameters
    stay as they are. Outputs agree to rounding.

    Attributes:
        conv, bn, act: made by the subclass.
    """

    conv: Any
    bn: Any
    act: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """(batch, c_in, f, t) -> (batch, c_out, f', t')."""
        if not self._folds(x):
            return self.act(self.bn(self.conv(x)))
        return activate(self.act, self._convolve_and_normalise(x))

    def _folds(self, x: Tensor) -> bool:
        return (
            isinstance(self.bn, nn.BatchNorm2d)
            and not self.bn.training
            and not torch.is_grad_enabled()
            and x.device.type == "cpu"
        )

    def _convolve_and_normalise(self, x: Tensor) -> Tensor:
        conv, norm = self.conv, self.bn
        exact = torch.promote_types(conv.weight.dtype, torch.float32)
        scale = norm.weight.to(exact) * (norm.running_var.to(exact) + norm.eps).rsqrt()
        bias = norm.bias + (conv.bias - norm.running_mean) * scale
        transposed = isinstance(conv, nn.ConvTranspose2d)  # its weights are (c_in, c_out, ...)
        weight = conv.weight * (scale[:, None, None] if transposed else scale[:, None, None, None])
        bias, weight = bias.to(conv.weight.dtype), weight.to(conv.weight.dtype)
        if transposed:
            return F.conv_transpose2d(x, weight, bias, conv.stride)
        return F.conv2d(x, weight, bias, conv.stride, conv.padding, groups=conv.groups)


def over_bins(layer: nn.Linear, x: Tensor) -> Tensor:
    """(batch, c, f, t) -> (batch, c, f', t), without a copy of channels-last memory."""
    columns = rearrange(x, "b c f t -> b f (t c)")
    product = torch.baddbmm(layer.bias[:, None], layer.weight.expand(len(x), -1, -1), columns)
    return rearrange(product, "b f (t c) -> b c f t", t=x.shape[-1])


def activate(act: nn.Module, x: Tensor) -> Tensor:
    """The activation of a tensor that nothing else refers to, without gradients."""
    return x.relu_() if isinstance(act, nn.ReLU) else act(x)


def add(x: Tensor, fresh: Tensor) -> Tensor:
    """x + fresh; in the memory of `fresh`, which nothing else refers to, without gradients."""
    if torch.is_grad_enabled() or x.dtype != fresh.dtype:
        return x + fresh
    return fresh.add_(x)


def multiply(x: Tensor, fresh: Tensor) -> Tensor:
    """x * fresh; in the memory of `fresh`, which nothing else refers to, without gradients."""
    if torch.is_grad_enabled() or torch.promote_types(x.dtype, fresh.dtype) != fresh.dtype:
        return x * fresh
    return fresh.mul_(x)
