"""Rotary Position Embedding (RoPE), the position encoding of both papers.

Source: Su et al. 2021, arXiv:2104.09864; used by the RoPE Transformer blocks of BS-RoFormer.
"""

from typing import Any

import torch
from torch import Tensor, nn


class SharedEmbedding(nn.Module):
    """A position embedding that all attention layers along one axis share, as in public weights.

    The state dictionary gets a copy for every layer, because safetensors files cannot store one
    tensor under several keys.
    """

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for key in destination if not keep_vars else ():
            if key.startswith(prefix):
                destination[key] = destination[key].clone()


class RotaryEmbedding(SharedEmbedding):
    """RoPE (Su et al. 2021, used by both papers): rotate each pair of adjacent features by an angle
    proportional to the position.

    Pair i of e features turns by position * 10000^(-2i / e).

    Args:
        dim_head: features per attention head (e), even.
    """

    def __init__(self, dim_head: int) -> None:
        super().__init__()
        freqs = 1.0 / 10_000 ** (torch.arange(0, dim_head, 2) / dim_head)
        # Never trained, but a parameter all the same: published parameter counts include it.
        self.freqs = nn.Parameter(freqs, requires_grad=False)

    def forward(self, qk: Tensor) -> Tensor:
        """(batch, position, ..., e) -> the same shape and dtype; computed in float32 or wider."""
        exact = torch.promote_types(qk.dtype, torch.float32)
        pairs = torch.view_as_complex(qk.to(exact).unflatten(-1, (-1, 2)))
        turned = pairs * self.turn(qk, exact)
        return torch.view_as_real(turned).flatten(-2).to(qk.dtype)

    def turn(self, qk: Tensor, exact: torch.dtype) -> Tensor:
        """(batch, position, ..., e) -> by what its pairs are turned, (position, ..., e / 2)."""
        position = torch.arange(qk.shape[1], device=qk.device, dtype=exact)
        angle = torch.outer(position, self.freqs.to(exact))
        turn = torch.polar(torch.ones_like(angle), angle)
        return turn.view(len(position), *[1] * (qk.ndim - 3), -1)
