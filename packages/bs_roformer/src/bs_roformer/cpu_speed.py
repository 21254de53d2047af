"""Faster separation and training on a CPU: `speed_up` gives the modules of a model these methods.

Nothing here is used unless `speed_up` is called, as the command line does. It changes no parameter,
key or result (beyond rounding), and does three things:

- Linear layers run on oneDNN. Of the two matrix libraries in torch's CPU builds they normally get
  MKL, which on some processors has half the speed. The operator that reaches oneDNN belongs to
  torch's compiler and has no gradient, so the gradient is written out here. That of the weight is
  left to MKL, which needs no transposed copies of the two largest matrices.
- A few sequences at a time go through a whole transformer. Without gradient what lies between its
  layers then stays in the processor's cache (cache blocking); with gradient memory comes in blocks
  that the allocator keeps, instead of large ones that the system clears each time.
- Gradients of norms and rotary positions are written out (written_gradients.py).
"""

from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from bs_roformer.linear_attention import (
    SIMILARITY_SCALE,
    FeatureAttention,
    LinearAttention,
    position_norm,
)
from bs_roformer.pope import PolarEmbedding
from bs_roformer.rope import RotaryEmbedding
from bs_roformer.transformer import (
    AXES,
    Attention,
    Block,
    FeedForward,
    RMSNorm,
    Transformer,
    rms_norm,
)
from bs_roformer.watching import differs, watched
from bs_roformer.written_gradients import HeadsGradient, NormGradient

# Multiply-adds from which a product with gradient gains more than its Python code costs.
RECORDED_FROM = 2**25
PIECE_ROWS = 2048  # positions that are computed together without gradient
PIECE_VALUES = 2**20  # values that go into a transformer together with gradient


def speed_up(model: nn.Module) -> None:
    """Switch the modules of a model, in place, to the faster classes below.

    Parameters, state dictionary and hooks stay as they are. Off the CPU the faster classes compute
    what the plain ones do; products run on oneDNN in float32 alone.
    """
    for module in model.modules():
        module.__class__ = FASTER.get(type(module), type(module))


# ---- oneDNN


class OneDnnLinear(nn.Linear):
    """A linear layer on oneDNN, for float32 on the CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., features in) -> (..., features out)."""
        if not runs_on_onednn(x, self.weight):
            return super().forward(x)
        if not (recording() and (x.requires_grad or self.weight.requires_grad)):
            return linear_onednn(x, self.weight, self.bias)
        if x.numel() * self.out_features < RECORDED_FROM or x.ndim < 2:
            return super().forward(x)
        y: Tensor = RecordedLinear.apply(x, self.weight, self.bias)
        return y


def runs_on_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN is there and their product is one in float32 on the CPU.

    Not if torch reads it: the compiler and the tracer lack the operator as it is called here, and
    forward_ad would find no derivative.
    """
    return bool(
        not differs()
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.is_available()
        and torch.backends.mkldnn.enabled
    )


def product(x: Tensor, weight: Tensor) -> Tensor:
    """x weight^T without gradient, on oneDNN if it can be."""
    return linear_onednn(x, weight, None) if runs_on_onednn(x, weight) else F.linear(x, weight)


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
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of input, weight and bias, where they are needed."""
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        rows, x_rows = gradient.flatten(0, -2), x.flatten(0, -2)
        return (
            RecordedLinear.of_input(gradient, weight) if of_x else None,
            rows.mT @ x_rows if of_weight else None,  # oneDNN would take copies of both
            rows.sum(dim=0) if of_bias else None,
        )

    @staticmethod
    def of_input(gradient: Tensor, weight: Tensor) -> Tensor:
        """The gradient of the input; one that can be differentiated, if it is to be."""
        if torch.is_grad_enabled():
            return gradient @ weight
        return linear_onednn(gradient.contiguous(), weight.mT.contiguous(), None)


def linear_gelu(linear: nn.Module, x: Tensor) -> Tensor:
    """gelu(linear(x)) without gradient, on oneDNN in one pass if it can be."""
    if type(linear) is OneDnnLinear and runs_on_onednn(x, linear.weight):
        return linear_onednn(x, linear.weight, linear.bias, gelu=True)
    return F.gelu(linear(x))


# ---- gradients written out


def recording() -> bool:
    """Whether autograd is recording."""
    return torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def recorded(x: Tensor, parameter: Tensor) -> bool:
    """Whether both are in one exact dtype on the CPU, where autograd is recording them."""
    if differs() or x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return False
    exact = x.dtype == parameter.dtype and x.dtype in (torch.float32, torch.float64)
    return exact and recording()


class RecordedNorm(RMSNorm):
    """The norm, with its gradient written out."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., dim)."""
        if not recorded(x, self.gamma) or self.gamma.shape != x.shape[-1:]:
            return super().forward(x)
        y: Tensor = NormGradient.apply(rms_norm, x, self.gamma)
        return y


class RecordedAttention(Attention):
    """Attention, with the gradient of rotary positions written out."""

    def positioned(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(b, n, 3, h, e) -> queries and keys, with their positions, and values, (b, n, h, e)."""
        positions = self.get_submodule(self.positions_key)
        if differs() or type(positions) is not RotaryEmbedding or "forward" in vars(positions):
            return super().positioned(qkv)
        learned = positions.freqs.requires_grad  # not by the papers
        if learned or watched(positions) or not recorded(qkv, positions.freqs):
            return super().positioned(qkv)
        q, k, v = HeadsGradient.apply(qkv, positions.turn(qkv, qkv.dtype))
        return q, k, v


# ---- cache blocking


def in_pieces(x: Tensor) -> bool:
    """Whether a few positions at a time are faster: on a CPU, without gradient."""
    return not differs() and x.device.type == "cpu" and not torch.is_grad_enabled()


def passed_over(module: nn.Module, x: Tensor) -> bool:
    """Whether parts of a module may be left uncalled without gradient, in pieces."""
    return in_pieces(x) and item_by_item(module)


def recorded_in_pieces(transformer: nn.Module, x: Tensor) -> bool:
    """Whether a few sequences at a time may go through a transformer with gradient."""
    recorded = not differs() and x.device.type == "cpu" and recording()
    return recorded and item_by_item(transformer)


def item_by_item(module: nn.Module) -> bool:
    """Whether a module treats each sequence by itself and no hook waits for a part of it.

    So do the classes here, if no features are dropped at random.
    """
    for part in module.modules():
        drops = isinstance(part, nn.Dropout) and part.training and part.p > 0
        if type(part) not in ITEM_BY_ITEM or "forward" in vars(part) or drops:
            return False
    return not watched(module)


def consists_of(layers: nn.Module, *kinds: type[nn.Module]) -> bool:
    """Whether a Sequential holds these layers, in this order, or the faster ones for them."""
    if type(layers) is not nn.Sequential or len(layers) != len(kinds):
        return False
    allowed = ({kind, FASTER.get(kind, kind)} for kind in kinds)
    return all(type(layer) in each for layer, each in zip(layers, allowed, strict=True))


class BlockedFeedForward(FeedForward):
    """The feed-forward, without gradient in pieces and with the GELU in the first product."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., d)."""
        if not passed_over(self, x) or not self.is_as_made():
            return super().forward(x)
        if x.shape[:-1].numel() <= PIECE_ROWS:
            return self.fused(x)
        pieces = [self.fused(rows) for rows in x.flatten(0, -2).split(PIECE_ROWS)]
        return torch.cat(pieces).view(*x.shape[:-1], -1)

    def is_as_made(self) -> bool:
        """Whether its layers are those that a `FeedForward` is made of."""
        layers = nn.Linear, nn.GELU, nn.Dropout, nn.Linear, nn.Dropout
        return consists_of(self.net, RMSNorm, *layers) and self.net[2].approximate == "none"

    def fused(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., d), without gradient."""
        norm, widen, _gelu, drop, narrow, drop_again = self.net
        y: Tensor = drop_again(narrow(drop(linear_gelu(widen, norm(x)))))
        return y


class BlockedBlock(Block):
    """The block, with a few sequences at a time through each transformer."""

    def along(self, axis: str, transformer: nn.Module, x: Tensor) -> Tensor:
        """(b, t, k, d) -> the same shape, through a transformer along an axis."""
        if axis != "linear" and recorded_in_pieces(transformer, x):
            return recorded_along(axis, transformer, x)
        if not passed_over(transformer, x) or (axis == "linear" and not merges_all(transformer, x)):
            return super().along(axis, transformer, x)
        if axis == "linear":
            return linear_in_pieces(transformer, x)
        y = torch.empty_like(x)
        views = [z.transpose(1, 2) if axis == "time" else z for z in (x, y)]
        size = max(1, PIECE_ROWS // max(1, views[0].shape[2]))
        for sequences, outputs in zip(*views, strict=True):
            pieces = zip(sequences.split(size), outputs.split(size), strict=True)
            for piece, output in pieces:
                output.copy_(transformer(piece))
        return y


def recorded_along(axis: str, transformer: nn.Module, x: Tensor) -> Tensor:
    """(b, t, k, d) -> the same shape, with gradient, a few sequences at a time."""
    to_sequences, back = AXES[axis]
    sequences = rearrange(x, to_sequences)
    size = max(1, PIECE_VALUES // max(1, sequences.shape[1:].numel()))
    y = torch.cat([transformer(piece) for piece in sequences.split(size)])
    return rearrange(y, back, b=x.shape[0], t=x.shape[1], k=x.shape[2])


def merges_all(transformer: Any, x: Tensor) -> bool:
    """Whether a transformer of linear attention, all parts known, needs to call none of them."""
    if type(transformer) is not Transformer:
        return False
    attentions = [next(layer.children()) for layer in transformer.layers]
    return all(isinstance(a, MergedLinearAttention) and a.merges(x) for a in attentions)


def linear_in_pieces(transformer: Any, x: Tensor) -> Tensor:
    """(b, t, k, d) -> the same shape: linear attention, whose weights are of all positions."""
    y = rearrange(x, AXES["linear"][0])
    for attention, feed_forward in (layer.children() for layer in transformer.layers):
        layer_input, y = y, torch.empty_like(y)
        for item, outputs in zip(layer_input, y, strict=True):
            weight = attention.merged(item)
            for rows, output in zip(item.split(PIECE_ROWS), outputs.split(PIECE_ROWS), strict=True):
                attended = rows + product(attention.norm(rows), weight)
                torch.add(attended, feed_forward(attended), out=output)
    return rearrange(transformer.norm(y), AXES["linear"][1], t=x.shape[1])


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


class MergedLinearAttention(LinearAttention):
    """Linear attention, without gradient as one matrix for all positions of an item.

    Once a head's weights are known, what is done to the normalised input is linear: values, their
    mixture, the last layer. Queries and keys serve these weights alone, which are sums over all
    positions.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(batch, position, d) -> the same shape."""
        if not self.merges(x):
            return super().forward(x)
        return torch.stack([product(self.norm(item), self.merged(item)) for item in x])

    def merges(self, x: Tensor) -> bool:
        """Whether the matrix is made: on a CPU, without gradient, in full precision."""
        same = x.dtype == self.temperature.dtype
        exact = same and x.dtype in (torch.float32, torch.float64)
        exact = exact and not torch.is_autocast_enabled("cpu")
        return exact and passed_over(self, x) and self.is_as_made()

    def is_as_made(self) -> bool:
        """Whether its layers are those that a `LinearAttention` is made of."""
        layers = consists_of(self.to_qkv, nn.Linear) and consists_of(
            self.to_out, nn.Identity, nn.Linear
        )
        return layers and self.to_qkv[0].bias is None and self.to_out[1].bias is None

    def merged(self, x: Tensor) -> Tensor:
        """(position, d) -> (d, d): the weight of the one layer that attention is for this item."""
        layers: list[Any] = [self.to_qkv[0], self.to_out[1]]
        weight, narrow = (layer.weight for layer in layers)
        inner = len(weight) // 3
        similarity, squares = x.new_zeros(()), x.new_zeros(())
        for rows in x.split(PIECE_ROWS):
            read = product(self.norm(rows), weight[: 2 * inner])
            q, k = read.unflatten(-1, (2, self.heads, -1)).unbind(1)
            similarity = similarity + torch.einsum("n h e, n h f -> h e f", q, k)
            squares = squares + read.square().sum(dim=0)
        norm_q, norm_k = squares.sqrt().clamp(min=1e-12).view(2, self.heads, -1)
        similarity = similarity / norm_q[:, :, None] / norm_k[:, None]
        weights = (self.temperature.exp() * SIMILARITY_SCALE * similarity).softmax(dim=-1)
        values = weight[2 * inner :].view(self.heads, -1, weight.shape[1])
        return narrow @ (weights @ values).flatten(0, 1)


FASTER: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: OneDnnLinear,
    RMSNorm: RecordedNorm,
    Attention: RecordedAttention,
    FeedForward: BlockedFeedForward,
    Block: BlockedBlock,
    FeatureAttention: BlockedFeatureAttention,
    LinearAttention: MergedLinearAttention,
}
PLAIN = (Transformer, PolarEmbedding, RotaryEmbedding, nn.Dropout, nn.GELU, nn.Identity)
CONTAINERS = (nn.ModuleList, nn.Sequential)
ITEM_BY_ITEM = {*FASTER, *FASTER.values(), *PLAIN, *CONTAINERS}
