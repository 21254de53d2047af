"""What is computed otherwise: norms within convolutions, in place, as products of other shapes."""

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from rotary_embedding_torch import RotaryEmbedding
from torch import Tensor, nn

from moises_light.config import ACT_NAMES
from moises_light.watching import watched


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
            return norm_and_activate(self.bn, self.act, convolve(self.conv, x))
        return activate(self.act, self._convolve_and_normalise(x))

    def _folds(self, x: Tensor) -> bool:
        return (
            simple(self.conv)
            and own(self.bn, nn.BatchNorm2d)
            and self.bn.weight is not None
            and self.bn.bias is not None
            and not self.bn.training
            and self.bn.running_var is not None
            and not torch.is_grad_enabled()
            and x.device.type == "cpu"
            and not watched(self)
        )

    def _convolve_and_normalise(self, x: Tensor) -> Tensor:
        conv, norm = self.conv, self.bn
        exact = torch.promote_types(conv.weight.dtype, torch.float32)
        scale = norm.weight.to(exact) * (norm.running_var.to(exact) + norm.eps).rsqrt()
        bias = norm.bias + (conv.bias - norm.running_mean) * scale
        transposed = isinstance(conv, nn.ConvTranspose2d)  # its weights are (c_in, c_out, ...)
        weight = conv.weight * (scale[:, None, None] if transposed else scale[:, None, None, None])
        bias, weight = bias.to(conv.weight.dtype), weight.to(conv.weight.dtype)
        if goes_in_pairs(conv, x):
            return in_pairs(x, weight, bias, transposed)
        if transposed:
            return F.conv_transpose2d(x, weight, bias, conv.stride)
        return F.conv2d(x, weight, bias, conv.stride, conv.padding, groups=conv.groups)


def lies_channels_last(x: Tensor) -> bool:
    """Whether products of (batch, c, f, t) need no copy for c to be the innermost axis."""
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    return channels_last and x.device.type == "cpu" and not torch.compiler.is_compiling()


def convolve(conv: Any, x: Tensor) -> Tensor:
    """conv(x), as a matrix product if it is one."""
    if not goes_in_pairs(conv, x) or watched(conv):
        y: Tensor = conv(x)
        return y
    return in_pairs(x, conv.weight, conv.bias, isinstance(conv, nn.ConvTranspose2d))


def simple(conv: Any) -> bool:
    """Whether a convolution is torch's own, with a bias and no arguments that are unused here."""
    if own(conv, nn.ConvTranspose2d):
        unused = {*conv.padding, *conv.output_padding, *(n - 1 for n in conv.dilation)} != {0}
        return conv.bias is not None and conv.groups == 1 and not unused
    plain = own(conv, nn.Conv2d) and conv.padding_mode == "zeros" and conv.dilation == (1, 1)
    return plain and conv.bias is not None


def goes_in_pairs(conv: Any, x: Tensor) -> bool:
    """Whether a convolution makes one frame of two, or two of one, of channels-last memory."""
    if not simple(conv):
        return False
    pairs = conv.kernel_size == conv.stride == (1, 2)
    alone = conv.padding == (0, 0) and conv.groups == 1
    whole = isinstance(conv, nn.ConvTranspose2d) or x.shape[-1] % 2 == 0
    return pairs and alone and whole and lies_channels_last(x)


def in_pairs(x: Tensor, weight: Tensor, bias: Tensor, transposed: bool) -> Tensor:
    """A (1, 2) convolution of stride (1, 2) as one matrix product, without a copy of x.

    (batch, c, f, t) -> (batch, c', f, t / 2); transposed -> (batch, c', f, 2 t).
    """
    if transposed:
        weight, bias = rearrange(weight, "c d 1 pair -> (pair d) c"), bias.repeat(2)
        y = F.linear(rearrange(x, "b c f t -> b f t c"), weight, bias)
        return rearrange(y, "b f t (pair d) -> b d f (t pair)", pair=2)
    pairs = rearrange(x, "b c f (t pair) -> b f t (pair c)", pair=2)
    y = F.linear(pairs, rearrange(weight, "d c 1 pair -> d (pair c)"), bias)
    return rearrange(y, "b f t d -> b d f t")


def over_bins(layer: nn.Linear, x: Tensor) -> Tensor:
    """(batch, c, f, t) -> (batch, c, f', t), without a copy of channels-last memory."""
    columns = rearrange(x, "b c f t -> b f (t c)")
    product = torch.baddbmm(layer.bias[:, None], layer.weight.expand(len(x), -1, -1), columns)
    return rearrange(product, "b f (t c) -> b c f t", t=x.shape[-1])


def activate(act: nn.Module, x: Tensor) -> Tensor:
    """The activation of what nothing else refers to; a ReLU in place."""
    return x.relu_() if own(act, nn.ReLU) and not watched(act) else act(x)


def norm_and_activate(norm: nn.Module, act: nn.Module, x: Tensor) -> Tensor:
    """act(norm(x)); a ReLU is in place, as the gradient of batch norm takes no output."""
    fresh = own(norm, nn.BatchNorm2d) and not watched(norm)
    if isinstance(norm, nn.GroupNorm) and torch.is_grad_enabled() and not x.requires_grad:
        x = x.contiguous()  # with channels last, torch's gradient of the gain alone crashes
    y: Tensor = norm(x)
    return activate(act, y) if fresh else act(y)


def add(x: Tensor, made: Tensor, by: nn.Module) -> Tensor:
    """x + made; without gradients in the memory of what `by` made, if nothing can refer to it."""
    alike = x.dtype == made.dtype and x.shape == made.shape
    if torch.is_grad_enabled() or not alike or not makes_anew(by):
        return x + made
    return made.add_(x)


def multiply(x: Tensor, made: Tensor, *by: nn.Module) -> Tensor:
    """x * made, as in `add`, where each of `by` may have made it."""
    dtype = torch.promote_types(x.dtype, made.dtype)
    if torch.is_grad_enabled() or dtype != made.dtype or not all(map(makes_anew, by)):
        return x * made
    return made.mul_(x)


def makes_anew(module: nn.Module) -> bool:
    """Whether nothing refers to the memory of what a module makes: all its parts are known, and
    no hook waits for one.
    """
    known = all(type(p) in KNOWN or type(p).__module__.startswith(OURS) for p in module.modules())
    patched = any("forward" in vars(part) for part in module.modules())
    return known and not patched and not watched(module)


OURS = "moises_light."
KNOWN = {getattr(nn, name) for name in ACT_NAMES} | {nn.Conv2d, nn.ConvTranspose2d, nn.Linear}
KNOWN |= {nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm, nn.Dropout}
KNOWN |= {nn.Sequential, nn.ModuleList, RotaryEmbedding}


def own(layer: nn.Module, *kinds: type[nn.Module]) -> bool:
    """Whether a layer computes what one of these classes does: it is no subclass of theirs and has
    no other forward.

    Others, as of adapters and quantisation, are called.
    """
    return type(layer) in kinds and "forward" not in vars(layer)


def consists_of(layers: nn.Module, *kinds: type[nn.Module]) -> bool:
    """Whether a Sequential holds layers of just these classes, in this order."""
    if not (isinstance(layers, nn.Sequential) and own(layers, nn.Sequential)):
        return False
    return len(layers) == len(kinds) and all(map(own, layers, kinds))
