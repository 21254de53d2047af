"""Faster forward passes on a CPU: `speed_up` gives the modules of a model these methods.

Nothing here is used unless `speed_up` is called, as the command line does. It changes no parameter,
key or result (beyond rounding), and does two things:

- Linear layers run on oneDNN. Of the two matrix libraries in torch's CPU builds they normally get
  MKL, which on some processors has half the speed. The operator that reaches oneDNN belongs to
  torch's compiler and has no gradient, so the gradient is written out here. That of the weight is
  left to MKL, which needs no transposed copies of the two largest matrices.
- Without gradient, a few sequences at a time go through a whole transformer (cache blocking), so
  that what lies between its layers stays in the processor's cache.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from bs_roformer.linear_attention import SIMILARITY_SCALE, FeatureAttention, position_norm
from bs_roformer.transformer import Block, FeedForward

# Multiply-adds from which a product with gradient gains more than its Python code costs.
RECORDED_FROM = 2**25
PIECE_ROWS = 2048  # positions that are computed together without gradient


def speed_up(model: nn.Module) -> None:
    """Switch the modules of a model, in place, to the faster classes below.

    Parameters, state dictionary and hooks stay as they are. Off the CPU, and in other dtypes than
    float32, the faster classes compute what the plain ones do.
    """
    for module in model.modules():
        module.__class__ = FASTER.get(type(module), type(module))


# ---- oneDNN


class OneDnnLinear(nn.Linear):
    """A linear layer on oneDNN, for float32 on the CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., features in) -> (..., features out)."""
        if not self.runs_on_onednn(x):
            return super().forward(x)
        if not (torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad)):
            return linear_onednn(x, self.weight, self.bias)
        if x.numel() * self.out_features < RECORDED_FROM:
            return super().forward(x)
        y: Tensor = RecordedLinear.apply(x, self.weight, self.bias)
        return y

    def runs_on_onednn(self, x: Tensor) -> bool:
        """Whether oneDNN is there and this is a product in float32 on the CPU."""
        return bool(
            x.device.type == "cpu"
            and x.dtype == self.weight.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and torch.backends.mkldnn.is_available()
            and torch.backends.mkldnn.enabled
        )


def linear_onednn(x: Tensor, weight: Tensor, bias: Tensor | None, gelu: bool = False) -> Tensor:
    """x weight^T + bias on oneDNN, with an exact GELU in the same pass if asked; no gradient."""
    activation, algorithm = ("gelu", "none") if gelu else ("none", "")
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], algorithm)
    return y


class RecordedLinear(torch.autograd.Function):
    """A linear layer and its gradient: the products of output and input on oneDNN."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """(..., features in) -> (..., features out)."""
        ctx.save_for_backward(x, weight)
        return linear_onednn(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of input, weight and bias, where they are needed."""
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        rows, x_rows = gradient.flatten(0, -2), x.flatten(0, -2)
        return (
            linear_onednn(gradient.contiguous(), weight.mT.contiguous(), None) if of_x else None,
            rows.mT @ x_rows if of_weight else None,  # oneDNN would take copies of both
            rows.sum(dim=0) if of_bias else None,
        )


def linear_gelu(linear: nn.Module, x: Tensor) -> Tensor:
    """gelu(linear(x)) without gradient, on oneDNN in one pass if it can be."""
    if isinstance(linear, OneDnnLinear) and linear.runs_on_onednn(x):
        return linear_onednn(x, linear.weight, linear.bias, gelu=True)
    return F.gelu(linear(x))


# ---- cache blocking


def in_pieces(x: Tensor) -> bool:
    """Whether a few positions at a time are faster: on a CPU, without gradient."""
    return x.device.type == "cpu" and not torch.is_grad_enabled()


class BlockedFeedForward(FeedForward):
    """The feed-forward, without gradient in pieces and with the GELU in the first product."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., d)."""
        if not in_pieces(x):
            return super().forward(x)
        if x.shape[:-1].numel() <= PIECE_ROWS:
            return self.fused(x)
        y = x.new_empty(x.shape)  # contiguous, so that its rows are views
        pieces = (z.flatten(0, -2).split(PIECE_ROWS) for z in (x, y))
        for rows, output in zip(*pieces, strict=True):
            output.copy_(self.fused(rows))
        return y

    def fused(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., d), without gradient."""
        norm, widen, _gelu, drop, narrow, drop_again = self.net
        y: Tensor = drop_again(narrow(drop(linear_gelu(widen, norm(x)))))
        return y


class BlockedBlock(Block):
    """The block, without gradient with a few sequences at a time through each transformer."""

    def along(self, axis: str, transformer: nn.Module, x: Tensor) -> Tensor:
        """(b, t, k, d) -> the same shape, through a transformer along an axis."""
        if axis == "linear" or not in_pieces(x):  # linear attention sees all positions at once
            return super().along(axis, transformer, x)
        y = torch.empty_like(x)
        views = [z.transpose(1, 2) if axis == "time" else z for z in (x, y)]
        size = max(1, PIECE_ROWS // views[0].shape[2])
        for sequences, outputs in zip(*views, strict=True):
            pieces = zip(sequences.split(size), outputs.split(size), strict=True)
            for piece, output in pieces:
                output.copy_(transformer(piece))
        return y


class BlockedFeatureAttention(FeatureAttention):
    """Attention between features, without gradient some positions at a time."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
        """q, k, v (b, n, h, e) and temperature (h, 1, 1), a logarithm -> (b, n, h, e)."""
        if not in_pieces(q):
            return super().forward(q, k, v, temperature)
        norm_q, norm_k = position_norm(q), position_norm(k)
        pieces = zip(q.split(PIECE_ROWS, dim=1), k.split(PIECE_ROWS, dim=1), strict=True)
        similarity = sum(
            torch.einsum("b n h e, b n h f -> b h e f", piece_q / norm_q, piece_k / norm_k)
            for piece_q, piece_k in pieces
        )
        weights = (temperature.exp() * SIMILARITY_SCALE * similarity).softmax(dim=-1)
        mixed = [
            torch.einsum("b h e f, b n h f -> b n h e", weights, piece)
            for piece in v.split(PIECE_ROWS, dim=1)
        ]
        return torch.cat(mixed, dim=1)


FASTER: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: OneDnnLinear,
    FeedForward: BlockedFeedForward,
    Block: BlockedBlock,
    FeatureAttention: BlockedFeatureAttention,
}
