"""What is computed otherwise where nothing is trained: batch norms in layers, and in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Folded(nn.Sequential):
    """Convolutions or linear layers, each followed by a batch norm and, if given, an activation.

    In evaluation, batch norm scales and shifts by constants. On a CPU and without gradients they
    go into the layer's weights, or into the smaller side of a linear layer, which saves passes over
    the features; the parameters stay as they are. Outputs agree to rounding.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(item, channel, frame, bin) -> the layers' output."""
        if not self.folds(x):
            plain: Tensor = super().forward(x)
            return plain
        return _run(list(self), x)

    def folds(self, x: Tensor) -> bool:
        """Whether the batch norms are constants for this input, and are folded."""
        cpu = x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
        if not cpu or torch.is_grad_enabled() or not self.is_as_made():
            return False
        norms: list[Any] = list(self)[1::3]
        moving = any(norm.training or norm.running_var is None for norm in norms)
        return not moving and not hooked(self)

    def is_as_made(self) -> bool:
        """Whether the layers come in this order, and none computes anything else."""
        layers = list(self)
        norms = all(own(norm, nn.BatchNorm2d) for norm in layers[1::3])
        return len(layers) % 3 != 1 and norms and all(map(simple, layers[::3]))

    def mixed(self, x: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
        """The output's groups of bins, weighted and added up; where ``folds`` is true.

        One group after the other: all at once take a multiple of the memory.

        Args:
            x: (item, channel, frame, bin) of linear layers.
            weights: (item, group) of each sum; the output's last axis counts bins, and groups
                within a bin.

        Returns:
            The sums, each (item, channel, frame, output bin).
        """
        layers: list[Any] = list(self)
        *first, linear, norm, act = layers
        hidden, groups, constants = _run(first, x), weights[0].shape[1], _constants(norm)
        shape = (*hidden.shape[:-1], linear.out_features // groups)
        totals = [hidden.new_zeros(shape) for _ in weights]
        for group in range(groups):
            bias = None if linear.bias is None else linear.bias[group::groups]
            part = over_bins(linear.weight[group::groups], bias, hidden, *constants)
            part = _activate([act], part)
            for total, weight in zip(totals, weights, strict=True):
                total.addcmul_(part, weight[:, group, None, None, None].to(x.dtype))
        return totals


_AT_ONCE = 2  # layers of a dense block that read a feature: more are no faster, but take memory


def dense_folded(layers: Sequence[Any], x: Tensor) -> Tensor:
    """A dense block of convolutions that fold and differ in nothing but their input channels.

    Each layer reads the outputs of all before it, the newest first, and last the block's input.
    A convolution of several features is the sum of those of each, so that nothing is concatenated:
    every feature goes through a single convolution for all the layers that read it.

    Args:
        layers: each a ``Folded`` of one convolution, where ``folds`` is true.
        x: (item, channel, frame, bin).

    Returns:
        (item, channel, frame, bin): the last layer's output.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    first, growth = layers[0][0], layers[0][0].out_channels
    weights, shifts = zip(
        *(_constant_weights(layer[0], *_constants(layer[1])) for layer in layers), strict=True
    )
    count = len(layers)
    spans = [(0, 1), *((k, min(k + _AT_ONCE, count)) for k in range(1, count, _AT_ONCE))]
    # What the layers of each span have read so far, channel by channel; later reads are added.
    due: list[Tensor] = []
    for start, end in spans:
        reading = torch.cat([weights[k][:, growth * k :] for k in range(start, end)])
        shift = torch.cat(shifts[start:end])
        due.append(F.conv2d(x, reading, shift, 1, first.padding, first.dilation))
    for index, layer in enumerate(layers[:-1]):
        place = growth * (index - spans[0][0])
        newest = layer[2](due[0][:, place : place + growth])
        if index + 1 == spans[0][1]:  # frees what the span has read
            del spans[0], due[0]
        for (start, end), before in zip(spans, due, strict=True):
            later = range(max(start, index + 1), end)
            ends = [growth * (k - index) for k in later]
            parts = [weights[k][:, e - growth : e] for k, e in zip(later, ends, strict=True)]
            read = F.conv2d(newest, torch.cat(parts), None, 1, first.padding, first.dilation)
            before[:, growth * (later[0] - start) :].add_(read)
            del read  # before the next is made
    last: Tensor = layers[-1][2](due[0][:, -growth:])
    return last


def in_other_order(x: Tensor) -> bool:
    """Whether features are channels-last in memory, as folded layers leave them."""
    return not (torch.is_grad_enabled() or x.is_contiguous())


def own(layer: nn.Module, *kinds: type[nn.Module]) -> bool:
    """Whether a layer computes what one of these classes does: it is no subclass of theirs and has
    no other forward.

    Others, as of adapters and quantisation, are called.
    """
    return type(layer) in kinds and "forward" not in vars(layer)


def simple(layer: Any) -> bool:
    """Whether a layer is torch's own, and has no argument that is not read here."""
    if own(layer, nn.Linear):
        return True
    if own(layer, nn.ConvTranspose2d):
        unread = {*layer.padding, *layer.output_padding, *(n - 1 for n in layer.dilation)}
        return bool(layer.groups == 1 and unread == {0})
    plain = own(layer, nn.Conv2d) and layer.groups == 1 and layer.padding_mode == "zeros"
    return bool(plain)


def makes_dense(layers: Sequence[Any]) -> bool:
    """Whether layers are what `dense_folded` takes, if each of them folds."""
    if not all(own(layer, Folded) and len(layer) == 3 for layer in layers):
        return False
    convs = [layer[0] for layer in layers]
    if not all(own(conv, nn.Conv2d) for conv in convs):
        return False
    shapes = {(c.out_channels, c.kernel_size, c.padding, c.dilation, c.stride) for c in convs}
    widths = [conv.in_channels - k * conv.out_channels for k, conv in enumerate(convs)]
    return len(shapes) == len({*widths}) == 1 and convs[0].stride == (1, 1)


def hooked(module: nn.Module) -> bool:
    """Whether a hook may keep what a part of the module reads or returns, or torch reads it.

    torch does for its compiler, jit.trace, torch.func and forward_ad.
    """
    if (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch._C._are_functorch_transforms_active()
        or torch.autograd.forward_ad._current_level >= 0
    ):
        return True
    of_all = nn.modules.module._global_forward_hooks, nn.modules.module._global_forward_pre_hooks
    if any(of_all):
        return True
    return any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def _run(layers: Sequence[Any], x: Tensor) -> Tensor:
    for start in range(0, len(layers), 3):
        layer, norm, *act = layers[start : start + 3]
        normalised = _linear if isinstance(layer, nn.Linear) else _convolution
        x = _activate(act, normalised(layer, x, *_constants(norm)))
    return x


def _constants(norm: Any) -> tuple[Tensor, Tensor]:
    """What batch norm multiplies each channel by, and what it adds then; at least float32."""
    exact = torch.promote_types(norm.running_var.dtype, torch.float32)
    scale = (norm.running_var.to(exact) + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight
    shift = -norm.running_mean * scale
    return scale, shift if norm.bias is None else shift + norm.bias


def _linear(layer: nn.Linear, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Along the last axis of (item, channel, frame, bin), then scaled and shifted by channel."""
    return over_bins(layer.weight, layer.bias, x, scale, shift)


def over_bins(
    weight: Tensor, bias: Tensor | None, x: Tensor, scale: Tensor, shift: Tensor
) -> Tensor:
    """(item, channel, frame, bin) -> (item, channel, frame, unit), contiguous.

    Args:
        weight: (unit, bin) of a linear layer.
        bias: (unit,) of it, or None.
        x: in any memory order.
        scale, shift: (channel,), of the batch norm behind it.
    """
    scale, shift = (each[:, None, None].to(x.dtype) for each in (scale, shift))
    if bias is not None:
        shift = shift + scale * bias
    if weight.shape[1] < len(weight):  # scaled where there is less to scale
        return F.linear(x.contiguous() * scale, weight).add_(shift)
    return F.linear(x.contiguous(), weight).mul_(scale).add_(shift)


def _convolution(layer: Any, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """A 2-d convolution, plain or transposed, scaled and shifted by its weights.

    Its output, like its input, is in the memory order in which convolutions are faster on a CPU.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    weight, shift = _constant_weights(layer, scale, shift)
    if isinstance(layer, nn.ConvTranspose2d):
        up = F.conv_transpose2d(x, weight, shift, layer.stride)
        return up.contiguous(memory_format=torch.channels_last)
    return F.conv2d(x, weight, shift, layer.stride, layer.padding, layer.dilation)


def _constant_weights(layer: Any, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that also scales and shifts each output channel."""
    if layer.bias is not None:
        shift = shift + scale * layer.bias
    # Those of a transposed convolution are (in, out, ...).
    axes = 2 if isinstance(layer, nn.ConvTranspose2d) else 3
    weight = layer.weight * scale.reshape(-1, *[1] * axes)
    return weight.to(layer.weight.dtype), shift.to(layer.weight.dtype)


def _activate(act: Sequence[nn.Module], x: Tensor) -> Tensor:
    for each in act:
        x = x.relu_() if own(each, nn.ReLU) else each(x)
    return x
