"""Polar position embedding (PoPE), an alternative to RoPE in newer third-party code (`use_pope`).

Not in the papers. Source: the package BS-RoFormer from 1.1 on.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bs_roformer.rope import SharedEmbedding


class PolarEmbedding(SharedEmbedding):
    """PoPE, of the package BS-RoFormer: turn each feature into a complex number, its softplus being
    the magnitude, its position the angle.

    Unlike with RoPE, the angle does not depend on the signal. Keys are also shifted by a learned
    angle per head and feature, limited to one turn backwards.

    Args:
        heads: attention heads (h).
        dim_head: features per head (e).
    """

    inv_freqs: Tensor

    def __init__(self, heads: int, dim_head: int) -> None:
        super().__init__()
        self.register_buffer("inv_freqs", 1.0 / 10_000 ** (torch.arange(dim_head) / dim_head))
        self.bias = nn.Parameter(torch.zeros(heads, dim_head))

    def forward(self, qk: Tensor) -> Tensor:
        """Queries and keys (batch, position, 2, h, e) -> (batch, position, 2, h, 2 e)."""
        exact = torch.promote_types(qk.dtype, torch.float32)
        position = torch.arange(qk.shape[1], device=qk.device, dtype=exact)
        angle = torch.outer(position, self.inv_freqs.to(exact))
        bias = self.bias.to(exact).clamp(-2 * torch.pi, 0)
        shifts = torch.stack([torch.zeros_like(bias), bias])  # only keys are shifted
        angle = angle[:, None, None] + shifts
        size = F.softplus(qk.to(exact))
        return torch.cat([size * angle.cos(), size * angle.sin()], dim=-1).to(qk.dtype)
