"""Value residual: attention of later blocks also sees the values of the first (layout "1.2").

Not in the papers. Source: the package BS-RoFormer, from 0.5 on. Each attention learns per head and
position how much of the first block's values it takes. Letters as in transformer.py.
"""

import torch
from einops import rearrange
from torch import Tensor, nn

from bs_roformer.config import Layout12Config, ModelConfig
from bs_roformer.linear_attention import FeatureAttention
from bs_roformer.transformer import RMSNorm, attend, positions_key

# Key names in the package's two networks.
MIX_KEYS = {"bs": "to_value_residual_mix", "mel": "learned_value_residual_mix"}


class ValueMix(nn.Module):
    """What both attentions of the package BS-RoFormer share: a learned share of the first block's
    values.

    Args:
        config: sizes.
        mixes: whether values are mixed; the first block has none to mix in.
        exchanged: own + first (share - own), a mistake of the package's mel network that its
            weights need, instead of own + share (first - own).
    """

    def __init__(self, config: ModelConfig, mixes: bool, exchanged: bool) -> None:
        super().__init__()
        self.config, self.mixes, self.exchanged = config, mixes, exchanged

    def add_mix(self) -> None:
        """Add the learned layer. Call it in turn: the order of layers decides initial weights."""
        if self.mixes:
            linear = nn.Linear(self.config.dim, self.config.heads)
            mel = self.config.kind == "mel"
            self.add_module(MIX_KEYS[self.config.kind], nn.Sequential(linear) if mel else linear)

    def mix(self, x: Tensor, own: Tensor, first: Tensor | None) -> Tensor:
        """Normalised input (b, n, d) and values (b, n, h, e) -> values (b, n, h, e)."""
        if first is None or not self.mixes:
            return own
        share = self.get_submodule(MIX_KEYS[self.config.kind])(x).sigmoid().unsqueeze(-1)
        if self.exchanged:
            return torch.addcmul(own, first, share - own)
        return torch.lerp(own, first, share)


class ValueResidualAttention(ValueMix):
    """`transformer.Attention` with gates and a value residual, of the package BS-RoFormer.

    Args:
        config, mixes, exchanged: see `ValueMix`.
        positions: a `RotaryEmbedding` or a `PolarEmbedding`.
    """

    def __init__(
        self, config: ModelConfig, positions: nn.Module, mixes: bool, exchanged: bool
    ) -> None:
        super().__init__(config, mixes, exchanged)
        inner = config.heads * config.dim_head
        self.positions_key = positions_key(config)
        self.add_module(self.positions_key, positions)
        self.norm = RMSNorm(config.dim)
        self.to_qkv = nn.Linear(config.dim, 3 * inner, bias=False)
        self.add_mix()
        self.to_gates = nn.Linear(config.dim, config.heads)
        self.to_out = nn.Sequential(
            nn.Linear(inner, config.dim, bias=False), nn.Dropout(config.attn_dropout)
        )

    def forward(self, x: Tensor, first: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(sequence, position, d) -> the same shape, and its own values (sequence, position, h, e).

        Args:
            x: the input.
            first: the values of the first block, if this one mixes them in.
        """
        x = self.norm(x)
        qkv = rearrange(self.to_qkv(x), "b n (i h e) -> b n i h e", i=3, h=self.config.heads)
        qk, v = qkv.split((2, 1), dim=2)
        q, k = self.get_submodule(self.positions_key)(qk).unbind(2)
        own = v.squeeze(2)
        y = attend(q, k, self.mix(x, own, first), self.config, self.training)
        y = y * self.to_gates(x).sigmoid().unsqueeze(-1)
        return self.to_out(y.flatten(-2)), own


class ValueResidualLinearAttention(ValueMix):
    """`linear_attention.LinearAttention` with a value residual, of the package BS-RoFormer.

    Its temperature starts at 0.

    Args:
        config, mixes: see `ValueMix`; its formula is never the exchanged one.
    """

    def __init__(self, config: ModelConfig, mixes: bool) -> None:
        super().__init__(config, mixes, exchanged=False)
        inner = config.heads * config.dim_head
        self.norm = RMSNorm(config.dim)
        self.to_qkv = nn.Sequential(nn.Linear(config.dim, 3 * inner, bias=False))
        self.temperature = nn.Parameter(torch.zeros(config.heads, 1, 1))
        self.add_mix()
        self.attend = FeatureAttention()
        self.to_out = nn.Sequential(nn.Identity(), nn.Linear(inner, config.dim, bias=False))

    def forward(self, x: Tensor, first: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(batch, position, d) -> the same shape, and its own values (batch, position, h, e)."""
        x = self.norm(x)
        q, k, own = rearrange(self.to_qkv(x), "b n (i h e) -> i b n h e", i=3, h=self.config.heads)
        y = self.attend(q, k, self.mix(x, own, first), self.temperature)
        return self.to_out(y.flatten(-2)), own


def make_attention(
    config: ModelConfig, extras: Layout12Config, positions: nn.Module | None, number: int
) -> nn.Module:
    """The attention of block ``number``, counted from 0; without positions, linear attention."""
    mixes = extras.add_value_residual and number > 0
    if positions is None:
        return ValueResidualLinearAttention(config, mixes)
    return ValueResidualAttention(config, positions, mixes, extras.exchanged_value_mix)
