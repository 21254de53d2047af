"""What a model costs: multiply-accumulates per second of audio."""

from __future__ import annotations

from math import prod
from typing import Any

import torch

COST_SECONDS = 6.0  # of audio, on which operations are counted


def count_gmac(model: torch.nn.Module) -> float:
    """Giga multiply-accumulates (GMAC) per second of audio, measured on 6 s; half the FLOPs.

    Matrix products, convolutions, attention and recurrent layers count; Fourier transforms and
    element-wise operations do not.
    """
    rate, channels = int(model.sample_rate), int(model.channels)  # type: ignore[arg-type]
    device = next(model.parameters()).device
    mixture = torch.zeros(1, channels, round(COST_SECONDS * rate), device=device)
    counter = flop_counter()
    with torch.no_grad(), counter:
        model(mixture)
    flops: int = counter.get_total_flops()
    return round(flops / 2e9 / COST_SECONDS, 4)


def flop_counter() -> Any:
    """A context that counts the FLOPs of what runs in it, for ``get_total_flops()``."""
    from torch.utils.flop_counter import FlopCounterMode

    counter: Any = FlopCounterMode(display=False, custom_mapping=_MORE)
    counter.mod_tracker = _NoModules()
    return counter


class _NoModules:
    """In place of torch's tracker, whose hooks of all modules would keep models from shortcuts."""

    parents = ("Global",)

    def __enter__(self) -> None:
        """Nothing to follow."""

    def __exit__(self, *_: object) -> None:
        """Nothing was followed."""


def _cpu_layer(frames: Any, *weights: Any, out_shape: Any = None, **_: Any) -> int:
    return _recurrent(frames, weights[:2])


def _gpu_layers(frames: Any, weights: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    return _recurrent(frames, weights)


def _recurrent(frames: Any, weights: Any) -> int:
    """FLOPs of recurrent layers on (frame, batch, feature): every matrix once per frame."""
    matrices = [shape for shape in weights if len(shape) == 2]
    return 2 * int(frames[0]) * int(frames[1]) * sum(int(a) * int(b) for a, b in matrices)


def _linear(x: Any, weight: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """FLOPs of (..., features in) times (features out, features in)."""
    return 2 * int(prod(x[:-1])) * int(weight[0]) * int(weight[1])


def _attention(query: Any, key: Any, value: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """FLOPs of attention's two matrix products on (batch, head, token, feature)."""
    return 2 * int(prod(query[:3])) * int(key[2]) * (int(query[3]) + int(value[3]))


def _cpu_layer_backward(frames: Any, *weights: Any, out_shape: Any = None, **_: Any) -> int:
    """FLOPs of a recurrent layer's gradients: two products for each of the forward pass."""
    return 2 * _recurrent(frames, weights[:2])


def _attention_backward(
    gradient: Any, query: Any, key: Any, value: Any, *_: Any, out_shape: Any = None, **__: Any
) -> int:
    """FLOPs of five products, the scores' again among them, as torch counts them on a GPU."""
    places = int(prod(query[:3])) * int(key[2])
    return 2 * places * (3 * int(query[3]) + 2 * int(value[3]))


def _convolution_backward(
    gradient: Any, x: Any, weight: Any, *rest: Any, out_shape: Any = None, **_: Any
) -> int:
    """FLOPs of the gradients that are asked for; each takes the products of the forward pass."""
    transposed, _padding, _groups, wanted = rest[-4:]
    places = int(prod(x[2:] if transposed else gradient[2:]))
    return 2 * int(gradient[0]) * places * int(prod(weight)) * sum(map(int, wanted[:2]))


# CPU and fused operations that torch's own counter does not know, and gradients of convolutions, of
# which it counts those of the weights once per group.
_MORE = {
    torch.ops.aten.mkldnn_rnn_layer: _cpu_layer,
    torch.ops.aten._cudnn_rnn: _gpu_layers,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten.mkldnn_rnn_layer_backward: _cpu_layer_backward,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    torch.ops.aten.convolution_backward: _convolution_backward,
}
if hasattr(torch.ops.mkldnn, "_linear_pointwise"):  # not in builds without oneDNN, as on Macs
    _MORE[torch.ops.mkldnn._linear_pointwise] = _linear
