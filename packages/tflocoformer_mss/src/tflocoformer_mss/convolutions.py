"""Convolutions along sequences whose features lie last in memory."""

from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from tflocoformer_mss.watching import hooked


def called(layer: Any, kind: type[nn.Module]) -> bool:
    """Whether a layer must be called: for a hook, or because it computes something else than one of
    torch's own kind does without arguments beyond kernel and stride.

    Others are those of adapters or quantisation.
    """
    if type(layer) is not kind or "forward" in vars(layer) or layer.groups != 1:
        return True
    plain = layer.dilation == (1,) and layer.padding == (0,) and layer.output_padding == (0,)
    return not plain or hooked(layer)


def convolve(x: Tensor, layer: nn.Conv1d, padding: tuple[int, int]) -> Tensor:
    """Apply a convolution layer along l, (n, l, features in) -> (n, steps, features out).

    Args:
        x: the input.
        layer: without padding of its own.
        padding: positions before and after l, of zeros.
    """
    left, right = padding
    if called(layer, nn.Conv1d):
        plain: Tensor = layer(F.pad(x, (0, 0, left, right)).mT).mT
        return plain
    if layer.stride[0] != 1:  # not the same on both sides, which the convolution cannot do
        x, left = F.pad(x, (0, 0, left, right)), 0
    return channels_last_conv(x, layer.weight, layer.bias, layer.stride[0], left)


def channels_last_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int = 0
) -> Tensor:
    """Convolve along l with the features last in memory, as the norms and linear layers have them.

    conv1d would need the features first, and two transposed copies. conv2d with a height of one
    takes the channels-last memory format, for which no copy is made.

    Args:
        x: (n, l, features in).
        weight: (features out, features in, kernel).
        bias: (features out,).
        stride: in positions.
        padding: positions of zeros on either side.

    Returns:
        (n, steps, features out).
    """
    weight = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    out = F.conv2d(rearrange(x, "n l d -> n d 1 l"), weight, bias, (1, stride), (0, padding))
    return rearrange(out, "n d 1 l -> n l d")
