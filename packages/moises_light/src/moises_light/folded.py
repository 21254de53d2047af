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
            own(self.conv, self.bn)
            and not self.bn.training
            and self.bn.running_var is not None
            and not torch.is_grad_enabled()
            and x.device.type == "cpu"
            and not hooked(self)
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


def activate(act: nn.Module, x: Tensor, by: nn.Module | None = None) -> Tensor:
    """The activation of what `by` made, without gradients; in place if nothing can refer to it."""
    in_place = isinstance(act, nn.ReLU) and own(act) and not (by and hooked(by))
    return x.relu_() if in_place else act(x)


def add(x: Tensor, made: Tensor, by: nn.Module) -> Tensor:
    """x + made; without gradients in the memory of what `by` made, if nothing can refer to it."""
    if torch.is_grad_enabled() or x.dtype != made.dtype or hooked(by):
        return x + made
    return made.add_(x)


def multiply(x: Tensor, made: Tensor, by: nn.Module) -> Tensor:
    """x * made, as in `add`."""
    dtype = torch.promote_types(x.dtype, made.dtype)
    if torch.is_grad_enabled() or dtype != made.dtype or hooked(by):
        return x * made
    return made.mul_(x)


OWN = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.BatchNorm2d, nn.ReLU)


def own(*layers: nn.Module) -> bool:
    """Whether layers compute what torch's classes do: none is of a subclass or has another forward.

    Others, as of adapters and quantisation, are called.
    """
    return all(type(layer) in OWN and "forward" not in vars(layer) for layer in layers)


def hooked(module: nn.Module) -> bool:
    """Whether a hook may keep what a part of the module reads or returns, or torch compiles."""
    of_all = nn.modules.module._global_forward_hooks, nn.modules.module._global_forward_pre_hooks
    if torch.compiler.is_compiling() or any(of_all):
        return True
    return any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
