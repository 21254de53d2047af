"""What layout "1.2" wraps around every sub-layer: branches and hyper-connections.

The package BS-RoFormer calls them manifold-constrained hyper-connections: R parallel residual
streams, mixed anew by every sub-layer with weights that depend on the signal.
"""

from collections.abc import Callable

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F

from bs_roformer.config import NewerConfig

Merge = Callable[[Tensor], Tensor]


class Branch(nn.Module):
    """A sub-layer whose residual is added around it."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def read(self, x: Tensor) -> tuple[Tensor, Merge]:
        """(..., d) -> what the sub-layer sees, and how its output joins the residual."""
        return x, lambda y: x + y


class StreamNorm(nn.Module):
    """RMSNorm whose gain is learned around one."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., d)."""
        return F.normalize(x, dim=-1) * x.shape[-1] ** 0.5 * (1 + self.gamma)


class HyperConnection(Branch):
    """R residual streams: one weighted sum of them feeds the sub-layer, R others go on.

    Computed in float32 throughout.
    """

    def __init__(self, branch: nn.Module, dim: int, newer: NewerConfig) -> None:
        super().__init__(branch)
        self.streams = streams = newer.num_residual_streams
        self.rounds = newer.mc_hyper_conn_sinkhorn_iters
        self.norm = StreamNorm(dim)
        # Every sub-layer starts by reading one stream, drawn here by torch's generator.
        reads = F.one_hot(torch.randint(streams, (1,)), streams).float().mT
        self.static_alpha = nn.Parameter(torch.cat([reads, torch.eye(streams)], dim=1))
        self.dynamic_alpha_fn = nn.Parameter(torch.zeros(1, dim, 1 + streams))
        self.pre_branch_scale = nn.Parameter(torch.full((1,), 0.01))
        self.residual_scale = nn.Parameter(torch.full((1,), 0.01))
        self.static_beta = nn.Parameter(torch.ones(streams))
        self.dynamic_beta_fn = nn.Parameter(torch.zeros(dim))
        self.h_post_scale = nn.Parameter(torch.tensor(0.01))

    def read(self, x: Tensor) -> tuple[Tensor, Merge]:
        """(batch * R, ..., d) -> (batch, ..., d) for the sub-layer, and how its output joins."""
        with torch.autocast(x.device.type, enabled=False):
            exact = torch.promote_types(x.dtype, torch.float32)
            streams = rearrange(x.to(exact), "(b r) ... d -> b ... r d", r=self.streams)
            alpha, beta = self.weights(streams)
            mixed = alpha.mT @ streams  # (batch, ..., 1 + R, d)
            kept = mixed[..., 1:, :]

        def merge(y: Tensor) -> Tensor:
            joined = kept + beta.unsqueeze(-1) * y.to(exact).unsqueeze(-2)
            return rearrange(joined, "b ... r d -> (b r) ... d").to(x.dtype)

        return mixed[..., 0, :].to(x.dtype), merge

    def weights(self, streams: Tensor) -> tuple[Tensor, Tensor]:
        """(..., R, d) -> alpha (..., R, 1 + R), beta (..., R)."""
        normed = self.norm(streams)
        scale = torch.cat([self.pre_branch_scale, self.residual_scale.expand(self.streams)])
        alpha = normed @ self.dynamic_alpha_fn[0].to(normed.dtype) * scale + self.static_alpha
        kept = (alpha[..., 1:] - alpha[..., 1:].amax(dim=-2, keepdim=True)).exp()
        for _ in range(self.rounds):
            kept = F.normalize(F.normalize(kept, p=1, dim=-2), p=1, dim=-1)
        alpha = torch.cat([alpha[..., :1].sigmoid(), kept], dim=-1)
        beta = normed @ self.dynamic_beta_fn.to(normed.dtype) * self.h_post_scale + self.static_beta
        return alpha, 2 * beta.sigmoid()


def wrap(part: nn.Module, dim: int, newer: NewerConfig) -> Branch:
    """Hyper-connections around a sub-layer, or a plain branch if there is one stream."""
    if newer.num_residual_streams == 1:
        return Branch(part)
    return HyperConnection(part, dim, newer)


def open_streams(x: Tensor, newer: NewerConfig) -> Tensor:
    """(batch, ...) -> (batch * R, ...): every item R times in a row."""
    return repeat(x, "b ... -> (b r) ...", r=newer.num_residual_streams)


def sum_streams(x: Tensor, newer: NewerConfig) -> Tensor:
    """(batch * R, ...) -> (batch, ...)."""
    return rearrange(x, "(b r) ... -> b r ...", r=newer.num_residual_streams).sum(dim=1)
