"""The RoPE Transformer block of BS-RoFormer (arXiv:2309.02612), from its smallest part up.

Letters: b batch, n position of any kind, t frame, k band, d feature, h head, e feature of a head.
Names of attributes are the keys of public weights. The network is the paper's except for the gate
in `Attention` and the norm at the end of `Transformer`, which public weights add: `LAYOUTS` in
config.py says which layout has which.
"""

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from bs_roformer.config import ModelConfig


class RMSNorm(nn.Module):
    """RMSNorm (paper: also before each mask MLP): the last axis at unit root mean square, times a
    learned gain.

    The norm is computed in float32 or wider: squares in half precision overflow or vanish.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., dim)."""
        return rms_norm(x, self.gamma)


def rms_norm(x: Tensor, gamma: Tensor) -> Tensor:
    """`RMSNorm` with a gain gamma, (..., d), (d) -> (..., d)."""
    exact = torch.promote_types(x.dtype, torch.float32)
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=exact)
    scale = x.shape[-1] ** 0.5 / norm.clamp(min=1e-12)
    return (x * scale * gamma).to(x.dtype)


class Attention(nn.Module):
    """Multi-head self-attention with RoPE on queries and keys (paper), normalised first.

    Public weights add a sigmoid gate per head and position; the paper has none. Runs in the dtype
    of its input: float32 stays float32 on every device.

    Args:
        config: sizes and layout.
        positions: a `RotaryEmbedding`, or a `PolarEmbedding` with `use_pope`.
    """

    def __init__(self, config: ModelConfig, positions: nn.Module) -> None:
        super().__init__()
        self.config = config
        heads, inner = config.heads, config.heads * config.dim_head
        self.positions_key = positions_key(config)
        self.add_module(self.positions_key, positions)
        self.norm = RMSNorm(config.dim)
        self.to_qkv = nn.Linear(config.dim, 3 * inner, bias=False)
        if config.parts.gates:
            self.to_gates = nn.Linear(config.dim, heads)
        self.to_out = nn.Sequential(
            nn.Linear(inner, config.dim, bias=False), nn.Dropout(config.attn_dropout)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(sequence, position, d) -> the same shape."""
        x = self.norm(x)
        qkv = rearrange(self.to_qkv(x), "b n (i h e) -> b n i h e", i=3, h=self.config.heads)
        y = attend(*self.positioned(qkv), self.config, self.training)
        if self.config.parts.gates:
            y = y * self.to_gates(x).sigmoid().unsqueeze(-1)
        merged: Tensor = self.to_out(y.flatten(-2))
        return merged

    def positioned(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(b, n, 3, h, e) -> queries and keys, with their positions, and values, (b, n, h, e)."""
        qk, v = qkv.split((2, 1), dim=2)
        q, k = self.get_submodule(self.positions_key)(qk).unbind(2)
        return q, k, v.squeeze(2)


def positions_key(config: ModelConfig) -> str:
    """The name of the position embedding in public weights."""
    return "pope_embed" if config.use_pope else "rotary_embed"


def attend(q: Tensor, k: Tensor, v: Tensor, config: ModelConfig, training: bool) -> Tensor:
    """softmax(q k^T / sqrt(e)) v, each (sequence, position, head, e).

    Args:
        q, k: with positions; PoPE makes them twice as wide as v.
        v: values.
        config: for dim_head (e), attn_dropout and flash_attn.
        training: whether weights are dropped.
    """
    q, k, v = (rearrange(x, "b n h e -> b h n e") for x in (q, k, v))
    dropout = config.attn_dropout if training else 0.0
    scale = config.dim_head**-0.5
    if config.flash_attn:
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scale)
    else:
        y = F.dropout((q @ k.mT * scale).softmax(dim=-1), dropout) @ v
    return rearrange(y, "b h n e -> b n h e")


class FeedForward(nn.Module):
    """Feed-forward: RMSNorm, then two linear layers with a GELU between them; hidden width 4 d.

    Source: public weights and the package BS-RoFormer.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim = config.dim
        self.net = nn.Sequential(
            RMSNorm(dim),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Dropout(config.ff_dropout),
            nn.Linear(4 * dim, dim),
            nn.Dropout(config.ff_dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., d)."""
        y: Tensor = self.net(x)
        return y


class Transformer(nn.Module):
    """RoPE Transformer (paper): layers of attention and feed-forward, each with a residual.

    Args:
        config: sizes and layout.
        depth: number of layers.
        make_attention: called once per layer.
    """

    def __init__(
        self, config: ModelConfig, depth: int, make_attention: Callable[[], nn.Module]
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList([make_attention(), FeedForward(config)]) for _ in range(depth)
        )
        self.norm = end_norm(config)

    def forward(self, x: Tensor) -> Tensor:
        """(sequence, position, d) -> the same shape."""
        for layer in self.layers:
            attention, feed_forward = layer.children()
            x = x + attention(x)
            x = x + feed_forward(x)
        y: Tensor = self.norm(x)
        return y


def end_norm(config: ModelConfig) -> nn.Module:
    """The norm at the end of every transformer: mel bands in public weights have one."""
    ends = config.kind == "mel" and config.parts.transformer_norm
    return RMSNorm(config.dim) if ends else nn.Identity()


# Patterns for einops: the sequences an axis is made of, and back. All other axes join the batch.
AXES = {
    "linear": ("b t k d -> b (t k) d", "b (t k) d -> b t k d"),
    "time": ("b t k d -> (b k) t d", "(b k) t d -> b t k d"),
    "freq": ("b t k d -> (b t) k d", "(b t) k d -> b t k d"),
}


class Block(nn.ModuleList):
    """RoPE Transformer block (paper): a transformer along frames (inner-band), then along bands
    (inter-band).

    Its children are numbered as in public weights: time 0, freq 1; or linear 0, time 1, freq 2
    with linear attention over both axes first, which the papers do not have.
    """

    def forward(self, x: Tensor, skipped: Tensor | None = None) -> Tensor:
        """(b, t, k, d) -> the same shape.

        Args:
            x: the tokens.
            skipped: sum of the outputs of all earlier blocks, with `skip_connection`.
        """
        *linear, time, freq = self
        for transformer in linear:
            x = self.along("linear", transformer, x)
        if skipped is not None:
            x = x + skipped
        x = self.along("time", time, x)
        return self.along("freq", freq, x)

    def along(self, axis: str, transformer: nn.Module, x: Tensor) -> Tensor:
        """(b, t, k, d) -> the same shape, through a transformer along an axis of `AXES`."""
        to_sequences, back = AXES[axis]
        sizes = dict(zip("btk", x.shape, strict=False))
        return rearrange(transformer(rearrange(x, to_sequences)), back, **sizes)
