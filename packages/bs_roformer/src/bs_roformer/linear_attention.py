"""Linear attention over all frames and bands at once, an option of third-party code.

Not in the papers, and off in most public weights (`linear_transformer_depth=0`). Letters: b batch,
n position, d feature, h head, e and f features of a head.
"""

import torch
from einops import rearrange
from torch import Tensor, nn

from bs_roformer.config import ModelConfig
from bs_roformer.transformer import RMSNorm

SIMILARITY_SCALE = 8.0  # not learned; from the code this follows


class FeatureAttention(nn.Module):
    """Softmax over the features of a head instead of over positions, of the package BS-RoFormer.

    It has no parameters. The cost grows linearly with the number of positions.
    """

    def forward(self, q: Tensor, k: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
        """q, k, v (b, n, h, e) and temperature (h, 1, 1), a logarithm -> (b, n, h, e)."""
        q, k = (x / position_norm(x) for x in (q, k))
        similarity = torch.einsum("b n h e, b n h f -> b h e f", q, k)
        weights = (temperature.exp() * SIMILARITY_SCALE * similarity).softmax(dim=-1)
        return torch.einsum("b h e f, b n h f -> b n h e", weights, v)


def position_norm(x: Tensor) -> Tensor:
    """(b, n, h, e) -> (b, 1, h, e): the norm of every feature over all positions."""
    return torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp(min=1e-12)


class LinearAttention(nn.Module):
    """Linear attention, of the package BS-RoFormer: self-attention between features, normalised
    first; without positions and gates.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        inner = config.heads * config.dim_head
        # Sequential and Identity keep the key names of public weights.
        self.norm = RMSNorm(config.dim)
        self.to_qkv = nn.Sequential(nn.Linear(config.dim, 3 * inner, bias=False))
        self.temperature = nn.Parameter(torch.ones(config.heads, 1, 1))
        self.attend = FeatureAttention()
        self.to_out = nn.Sequential(nn.Identity(), nn.Linear(inner, config.dim, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, position, d) -> the same shape."""
        qkv = self.to_qkv(self.norm(x))
        q, k, v = rearrange(qkv, "b n (i h e) -> i b n h e", i=3, h=self.heads)
        y: Tensor = self.to_out(self.attend(q, k, v, self.temperature).flatten(-2))
        return y
