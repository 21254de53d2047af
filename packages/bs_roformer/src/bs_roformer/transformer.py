"""The transformers that both models are made of; small blocks first.

Letters: b batch, n position of any kind, t frame, k band, d feature, h head, e feature of a head.
Key names are those of public weights; `LAYOUTS` in config.py says what the layouts differ in.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from bs_roformer.config import ModelConfig, NewerConfig
from bs_roformer.linear import Linear
from bs_roformer.newer import Branch, wrap

LINEAR_ATTENTION_SCALE = 8.0
PIECE_ROWS = 2048  # positions that are computed together without gradient


def in_pieces(x: Tensor) -> bool:
    """Whether a few positions at a time are quicker: they stay in the processor's cache."""
    return x.device.type == "cpu" and not torch.is_grad_enabled()


class RMSNorm(nn.Module):
    """Scale the last axis to unit root mean square, times a learned gain.

    The norm is taken in float32 at least: squares of half precision overflow or vanish.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., dim)."""
        exact = torch.promote_types(x.dtype, torch.float32)
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=exact)
        scale = x.shape[-1] ** 0.5 / norm.clamp(min=1e-12)
        return (x * scale * self.gamma).to(x.dtype)


class Shared(nn.Module):
    """Positions that all attentions of an axis share.

    In a state dictionary each attention's key gets its own copy: safetensors files hold no tensor
    twice.
    """

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for key in destination if not keep_vars else ():
            if key.startswith(prefix):
                destination[key] = destination[key].clone()


class Rotary(Shared):
    """Rotary positions: adjacent features turn by an angle that grows with the position."""

    def __init__(self, dim_head: int) -> None:
        super().__init__()
        freqs = 1.0 / 10_000 ** (torch.arange(0, dim_head, 2) / dim_head)
        # Frozen, yet a parameter: published parameter counts include it.
        self.freqs = nn.Parameter(freqs, requires_grad=False)

    def forward(self, qk: Tensor) -> Tensor:
        """(batch, position, ..., e) -> the same, turned in float32 at least."""
        exact = torch.promote_types(qk.dtype, torch.float32)
        position = torch.arange(qk.shape[1], device=qk.device, dtype=exact)
        angle = torch.outer(position, self.freqs.to(exact))
        turn = torch.polar(torch.ones_like(angle), angle)
        pairs = torch.view_as_complex(qk.to(exact).unflatten(-1, (-1, 2)))
        turned = pairs * turn.view(len(position), *[1] * (qk.ndim - 3), -1)
        return torch.view_as_real(turned).flatten(-2).to(qk.dtype)


class Polar(Shared):
    """Polar positions (PoPE): the feature is a magnitude, the position alone its angle."""

    inv_freqs: Tensor

    def __init__(self, heads: int, dim_head: int) -> None:
        super().__init__()
        self.register_buffer("inv_freqs", 1.0 / 10_000 ** (torch.arange(dim_head) / dim_head))
        self.bias = nn.Parameter(torch.zeros(heads, dim_head))

    def forward(self, qk: Tensor) -> Tensor:
        """(batch, position, 2, h, e) -> (batch, position, 2, h, 2 e)."""
        exact = torch.promote_types(qk.dtype, torch.float32)
        position = torch.arange(qk.shape[1], device=qk.device, dtype=exact)
        angle = torch.outer(position, self.inv_freqs.to(exact))
        bias = self.bias.to(exact).clamp(-2 * torch.pi, 0)
        shifts = torch.stack([torch.zeros_like(bias), bias])  # only keys are shifted
        angle = angle[:, None, None] + shifts
        size = F.softplus(qk.to(exact))
        return torch.cat([size * angle.cos(), size * angle.sin()], dim=-1).to(qk.dtype)


class Attention(nn.Module):
    """Self-attention with positions, normalised first; a sigmoid gate per head except in the paper.

    Runs in the dtype of its input: float32 stays float32 on every device.
    """

    def __init__(
        self, config: ModelConfig, positions: nn.Module, mix: str | None, exchanged: bool
    ) -> None:
        super().__init__()
        self.config = config
        self.mix, self.exchanged = mix, exchanged
        heads, inner = config.heads, config.heads * config.dim_head
        self.positions = "pope_embed" if config.use_pope else "rotary_embed"
        self.add_module(self.positions, positions)
        self.norm = RMSNorm(config.dim)
        self.to_qkv = Linear(config.dim, 3 * inner, bias=False)
        if mix is not None:
            self.add_module(mix, value_mix(config, mix))
        if config.parts.gates:
            self.to_gates = Linear(config.dim, heads)
        self.to_out = nn.Sequential(
            Linear(inner, config.dim, bias=False), nn.Dropout(config.attn_dropout)
        )

    def forward(self, x: Tensor, first: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(sequence, position, d) -> the same, and the values (sequence, position, h, e).

        Args:
            x: the input.
            first: the values of the first block, if this one mixes them in.
        """
        x = self.norm(x)
        qkv = rearrange(self.to_qkv(x), "b n (i h e) -> b n i h e", i=3, h=self.config.heads)
        q, k = self.get_submodule(self.positions)(qkv[:, :, :2]).unbind(2)
        values = own = qkv[:, :, 2]
        if self.mix is not None and first is not None:
            share = self.get_submodule(self.mix)(x).sigmoid().unsqueeze(-1)
            values = mix_values(own, first, share, exchanged=self.exchanged)
        y = self.attend(*(rearrange(z, "b n h e -> b h n e") for z in (q, k, values)))
        y = rearrange(y, "b h n e -> b n h e")
        if self.config.parts.gates:
            y = y * self.to_gates(x).sigmoid().unsqueeze(-1)
        return self.to_out(y.flatten(-2)), own

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """softmax(q k^T / sqrt(e)) v, each (sequence, head, position, e)."""
        dropout = self.config.attn_dropout if self.training else 0.0
        scale = self.config.dim_head**-0.5
        if self.config.flash_attn:
            return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scale)
        weights = (q @ k.mT * scale).softmax(dim=-1)
        return F.dropout(weights, dropout) @ v


def value_mix(config: ModelConfig, name: str) -> nn.Module:
    """How much of the first block's values each head takes."""
    linear = Linear(config.dim, config.heads)
    return linear if name == "to_value_residual_mix" else nn.Sequential(linear)


def mix_values(own: Tensor, first: Tensor, share: Tensor, *, exchanged: bool) -> Tensor:
    """own + share (first - own), or with the two exchanged own + first (share - own)."""
    return torch.addcmul(own, first, share - own) if exchanged else torch.lerp(own, first, share)


class LinearAttention(nn.Module):
    """Attention between features over all positions at once: its cost is linear in positions."""

    def __init__(self, config: ModelConfig, mix: str | None) -> None:
        super().__init__()
        self.heads, self.mix = config.heads, mix
        inner = config.heads * config.dim_head
        self.norm = RMSNorm(config.dim)
        self.to_qkv = nn.Sequential(Linear(config.dim, 3 * inner, bias=False))
        start = 0.0 if config.layout == "1.2" else 1.0
        self.temperature = nn.Parameter(torch.full((config.heads, 1, 1), start))
        if mix is not None:
            self.add_module(mix, value_mix(config, mix))
        self.to_out = nn.Sequential(nn.Identity(), Linear(inner, config.dim, bias=False))

    def forward(self, x: Tensor, first: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(batch, position, d) -> the same, and the values (batch, position, h, e)."""
        x = self.norm(x)
        qkv = rearrange(self.to_qkv(x), "b n (i h e) -> i b n h e", i=3, h=self.heads)
        values = own = qkv[2]
        if self.mix is not None and first is not None:
            share = self.get_submodule(self.mix)(x).sigmoid().unsqueeze(-1)
            values = mix_values(own, first, share, exchanged=False)
        rows = PIECE_ROWS if in_pieces(x) else x.shape[1]
        weights = self.alike(qkv[0], qkv[1], rows).softmax(dim=-1)
        return torch.cat([self.mixed(weights, part) for part in values.split(rows, dim=1)], 1), own

    def alike(self, q: Tensor, k: Tensor, rows: int) -> Tensor:
        """Each (b, n, h, e) -> (b, h, e, e): how alike features are over all positions."""
        size_q, size_k = (
            torch.linalg.vector_norm(z, dim=1, keepdim=True).clamp(min=1e-12) for z in (q, k)
        )
        scale = self.temperature.exp() * LINEAR_ATTENTION_SCALE
        parts = zip(q.split(rows, dim=1), k.split(rows, dim=1), strict=True)
        return scale * sum(
            torch.einsum("b n h e, b n h f -> b h e f", part_q / size_q, part_k / size_k)
            for part_q, part_k in parts
        )

    def mixed(self, weights: Tensor, values: Tensor) -> Tensor:
        """(b, h, e, e) and (b, n, h, e) -> (b, n, d)."""
        y = torch.einsum("b h e f, b n h f -> b n h e", weights, values)
        mixed: Tensor = self.to_out(y.flatten(-2))
        return mixed


class FeedForward(nn.Module):
    """Two linear layers with a GELU between, normalised first."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim = config.dim
        self.net = nn.Sequential(
            RMSNorm(dim),
            Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Dropout(config.ff_dropout),
            Linear(4 * dim, dim),
            nn.Dropout(config.ff_dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., d); without gradient on a CPU, some positions at a time."""
        if in_pieces(x) and x.shape[:-1].numel() > PIECE_ROWS:
            y = x.new_empty(x.shape)  # contiguous, so that its rows are views
            flat = (z.flatten(0, -2).split(PIECE_ROWS) for z in (x, y))
            for given, place in zip(*flat, strict=True):
                place.copy_(self.widen_and_narrow(given))
            return y
        return self.widen_and_narrow(x)

    def widen_and_narrow(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., d)."""
        norm, widen, _, drop, narrow, drop_again = self.net
        return drop_again(narrow(drop(widen(norm(x), activation="gelu"))))


class Transformer(nn.Module):
    """Layers of attention and feed-forward, both with residuals."""

    def __init__(
        self,
        config: ModelConfig,
        newer: NewerConfig | None,
        depth: int,
        make_attention: Callable[[], nn.Module],
    ) -> None:
        super().__init__()

        def layer() -> nn.ModuleList:
            parts = [make_attention(), FeedForward(config)]
            return nn.ModuleList(
                parts if newer is None else [wrap(part, config.dim, newer) for part in parts]
            )

        self.layers = nn.ModuleList(layer() for _ in range(depth))
        self.rows_are_free = newer is None  # sequences do not see each other
        self.keeps_values = newer is not None and newer.add_value_residual
        ends = config.kind == "mel" and config.parts.transformer_norm
        self.norm = RMSNorm(config.dim) if ends else nn.Identity()

    def forward(self, x: Tensor, first: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """(sequence, position, d) -> the same, and its first attention's values if kept."""
        kept = None
        for attention, feed_forward in map(nn.Module.children, self.layers):
            part, given, merge = unwrap(attention, x)
            y, values = part(given, first)
            x = merge(y)
            kept = values if kept is None and self.keeps_values else kept
            del y, given, values  # queries and keys live in the memory of the values
            part, given, merge = unwrap(feed_forward, x)
            x = merge(part(given))
        return self.norm(x), kept


def unwrap(part: nn.Module, x: Tensor) -> tuple[nn.Module, Tensor, Callable[[Tensor], Tensor]]:
    """The sub-layer itself, its input, and how its output joins the residual."""
    if isinstance(part, Branch):
        return part.branch, *part.read(x)
    return part, x, x.add


class Block(nn.Module):
    """Transformers along frames, then along bands; linear attention over both before, if any.

    The children are numbered as in public weights: linear, time, freq, counted from 0; without
    linear attention time has number 0, except that mel bands in layout "1.2" keep its place free.
    """

    AXES = {
        "linear": ("b t k d -> b (t k) d", "b (t k) d -> b t k d"),
        "time": ("b t k d -> (b k) t d", "(b k) t d -> b t k d"),
        "freq": ("b t k d -> (b t) k d", "(b t) k d -> b t k d"),
    }

    def __init__(
        self, transformers: dict[str, Transformer], first_number: int, keeps_values: bool
    ) -> None:
        super().__init__()
        self.keeps_values = keeps_values
        self.numbers = {axis: str(i) for i, axis in enumerate(transformers, first_number)}
        for axis, transformer in transformers.items():
            self.add_module(self.numbers[axis], transformer)

    def forward(
        self, x: Tensor, earlier: Tensor | None, first: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(b, t, k, d) -> the same, and the values of each axis if later blocks mix them in.

        Args:
            x: the input.
            earlier: sum of the outputs of all blocks before, if blocks skip.
            first: values of the first block by axis; empty there.
        """
        values = {}
        for axis, number in self.numbers.items():
            transformer = self.get_submodule(number)
            if axis == "time" and earlier is not None:
                x = x + earlier
            if in_pieces(x) and axis != "linear" and transformer.rows_are_free:
                x = self.by_pieces(transformer, x, axis)
                continue
            there, back = self.AXES[axis]
            sizes = dict(zip("btk", x.shape, strict=False))
            flat, own = transformer(rearrange(x, there), first.get(axis))
            x = rearrange(flat, back, **sizes)
            if self.keeps_values:
                values[axis] = own
        return x, values

    @staticmethod
    def by_pieces(transformer: nn.Module, x: Tensor, axis: str) -> Tensor:
        """The same, a few sequences at a time: what lies between stays in the processor's cache."""
        y = torch.empty_like(x)
        views = [z.transpose(1, 2) if axis == "time" else z for z in (x, y)]
        size = max(1, PIECE_ROWS // views[0].shape[2])
        for given, filled in zip(*views, strict=True):
            for part, place in zip(given.split(size), filled.split(size), strict=True):
                place.copy_(transformer(part)[0])
        return y


def make_blocks(config: ModelConfig, newer: NewerConfig | None) -> list[Block]:
    """All blocks; those of one axis share their positions."""
    positions = {
        axis: Polar(config.heads, config.dim_head) if config.use_pope else Rotary(config.dim_head)
        for axis in ("time", "freq")
    }
    depths = {
        "linear": config.linear_transformer_depth,
        "time": config.time_transformer_depth,
        "freq": config.freq_transformer_depth,
    }
    mix = "to_value_residual_mix" if config.kind == "bs" else "learned_value_residual_mix"
    gap = config.kind == "mel" and newer is not None and not depths["linear"]
    blocks = []
    keeps = newer is not None and newer.add_value_residual
    for number in range(config.depth):
        mixes = mix if keeps and number else None
        exchanged = newer is not None and newer.exchanged_value_mix
        makers: dict[str, Callable[[], nn.Module]] = {
            "linear": partial(LinearAttention, config, mixes),
            "time": partial(Attention, config, positions["time"], mixes, exchanged),
            "freq": partial(Attention, config, positions["freq"], mixes, exchanged),
        }
        transformers = {
            axis: Transformer(config, newer, depth, makers[axis])
            for axis, depth in depths.items()
            if depth
        }
        blocks.append(Block(transformers, int(gap), keeps and not number))
    return blocks
