"""The RoPE transformer of Moises-Light: attention and feed-forward, with residual connections.

Source: that of BS-RoFormer, whose terms the docstrings use; sizes from the package moises-light.
"""

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from rotary_embedding_torch import RotaryEmbedding
from torch import Tensor, nn

from moises_light.config import ModelConfig
from moises_light.fewer_passes import add_to_product, linear_of_normed, project, saves_passes
from moises_light.folded import consists_of, multiply, own


class RMSNorm(nn.Module):
    """RMSNorm over the last axis: unit root mean square, times a learned gain.

    Source: BS-RoFormer, whose transformer the paper's RoPE blocks follow.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., dim)."""
        return F.normalize(x, dim=-1) * (x.shape[-1] ** 0.5 * self.gamma)


class Attention(nn.Module):
    """Pre-norm multi-head self-attention with RoPE and a sigmoid gate per head.

    Runs in the dtype of its input: float32 stays float32 on every device.

    Source: RoPE transformer of BS-RoFormer; sizes from the package moises-light.
    """

    def __init__(self, config: ModelConfig, dim: int) -> None:
        super().__init__()
        params = config.transformer_params
        self.heads, self.flash = params.heads, params.flash_attn
        self.attn_dropout = params.attn_dropout
        inner = params.heads * params.dim_head
        # A frozen parameter rather than a buffer: published parameter counts include it.
        self.rotary_embed = RotaryEmbedding(dim=params.dim_head)
        self.norm = RMSNorm(dim)
        self.to_qkv = nn.Linear(dim, 3 * inner, bias=False)
        self.to_gates = nn.Linear(dim, params.heads)
        projection = nn.Linear(inner, dim, bias=False)
        if config.variant.zero_init_attention:
            nn.init.zeros_(projection.weight)
        self.to_out = nn.Sequential(projection, nn.Dropout(params.proj_dropout))

    def forward(self, x: Tensor) -> Tensor:
        """(sequence, position, c) -> (sequence, position, c)."""
        q, k, v, gates = self.project(x)
        x = multiply(rearrange(gates.sigmoid(), "b n h -> b h n 1"), self.attend(q, k, v))
        return self.to_out(rearrange(x, "b h n e -> b n (h e)"))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """(sequence, position, c) -> rotated queries and keys, values, gates.

        The first three are (sequence, head, position, e), the gates (sequence, position, head).
        """
        if self.is_as_made() and saves_passes(self, x):
            return project(self.norm, self.to_qkv, self.to_gates, x, self.rotation(x))
        x = self.norm(x)
        q, k, v = (
            rearrange(y, "b n (h e) -> b h n e", h=self.heads)
            for y in self.to_qkv(x).chunk(3, dim=-1)
        )
        return self.rotate(q), self.rotate(k), v, self.to_gates(x)

    def is_as_made(self) -> bool:
        """Whether queries, keys, values and gates can be one product, rotated where it lies."""
        freqs = self.rotary_embed.freqs
        layers = self.to_qkv, self.to_gates
        if freqs.requires_grad or not own(self.norm, RMSNorm):
            return False
        if not all(own(layer, nn.Linear) for layer in layers) or "rotate" in vars(self):
            return False
        if len(self.norm.gamma) != self.to_qkv.in_features:
            return False
        biases = [layer.bias is not None for layer in layers]
        rows = [len(layer.weight) for layer in layers]
        made = biases == [False, True] and rows == [6 * self.heads * len(freqs), self.heads]
        return made and self.heads % 2 == 0  # so that each row has whole pairs

    def makes_anew(self) -> bool:
        """Whether a linear layer makes the output, and nothing else refers to its memory."""
        return consists_of(self.to_out, nn.Linear, nn.Dropout) and not self.to_out[1].inplace

    def rotate(self, x: Tensor) -> Tensor:
        """Apply RoPE to queries or keys, (sequence, head, position, e); without gradients in place.

        Adjacent features are the real and imaginary part of a number that is multiplied by
        exp(i * angle), which is faster than the library that owns the frequencies
        (experiments/2026-11-moises-light-speed).
        """
        rotation = self.rotation(x)
        pairs = torch.view_as_complex(x.to(rotation.real.dtype).unflatten(-1, (-1, 2)))
        rotated = multiply(rotation, pairs, self.to_qkv)
        return torch.view_as_real(rotated).flatten(-2).to(x.dtype)

    def rotation(self, x: Tensor) -> Tensor:
        """What RoPE multiplies (..., position, features) by: complex, (position, e / 2)."""
        # bfloat16 cannot represent every integer above 256: positions would coincide.
        dtype = torch.promote_types(x.dtype, torch.float32)
        position = torch.arange(x.shape[-2], device=x.device, dtype=dtype)
        angle = torch.outer(position, self.rotary_embed.freqs.to(dtype))
        return torch.view_as_complex(torch.stack([angle.cos(), angle.sin()], dim=-1))

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """softmax(q k^T / sqrt(e)) v, each (sequence, head, position, e)."""
        dropout = self.attn_dropout if self.training else 0.0
        if self.flash:
            return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        weights = (q @ k.mT * q.shape[-1] ** -0.5).softmax(dim=-1)
        return F.dropout(weights, dropout) @ v


class FeedForward(nn.Module):
    """Pre-norm feed-forward network: two linear layers with a GELU between them.

    Source: RoPE transformer of BS-RoFormer; `ff_mult` from the package moises-light.
    """

    def __init__(self, config: ModelConfig, dim: int) -> None:
        super().__init__()
        params = config.transformer_params
        inner = int(dim * params.ff_mult)
        self.net = nn.Sequential(
            RMSNorm(dim),
            nn.Linear(dim, inner),
            nn.GELU(),
            nn.Dropout(params.ff_dropout),
            nn.Linear(inner, dim),
            nn.Dropout(params.ff_dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(..., c) -> (..., c)."""
        if self.makes_anew() and saves_passes(self, x):
            return self.net[2:](linear_of_normed(self.net[0], self.net[1], x))
        return self.net(x)

    def makes_anew(self) -> bool:
        """Whether a linear layer makes the output, and nothing else refers to its memory."""
        layers = nn.Linear, nn.GELU, nn.Dropout, nn.Linear, nn.Dropout
        if not consists_of(self.net, RMSNorm, *layers) or self.net[-1].inplace:
            return False
        norm: Any = self.net[0]
        return len(norm.gamma) == self.net[1].in_features


class Transformer(nn.Module):
    """RoPE transformer of one layer: attention and feed-forward, each with a residual connection.

    Source: paper, RoPE transformer; layer by layer that of BS-RoFormer, without a norm at the end.
    """

    def __init__(self, config: ModelConfig, dim: int) -> None:
        super().__init__()
        layer = nn.ModuleList([Attention(config, dim), FeedForward(config, dim)])
        self.layers = nn.ModuleList([layer])

    def forward(self, x: Tensor) -> Tensor:
        """(sequence, position, c) -> (sequence, position, c)."""
        for layer in self.layers:
            for part in layer.children():
                x = self.add(x, part(x), part)
        return x

    @staticmethod
    def add(x: Tensor, made: Tensor, part: nn.Module) -> Tensor:
        """x + what a part made of it, which may be x itself, or be needed for a gradient."""
        if isinstance(part, Attention | FeedForward) and own(part, Attention, FeedForward):
            if part.makes_anew():
                return add_to_product(x, made, part)
        return x + made
