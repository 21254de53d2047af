"""Manifold-constrained hyper-connections, and the blocks of layout "1.2" built with them.

Not in the papers. Source: the package BS-RoFormer from 1.0 on. Instead of one residual, R parallel
residual streams run past every sub-layer, which mixes them anew with weights that depend on the
signal. The stack is `open_streams`, `BranchedBlock`s of `BranchedTransformer`s, `sum_streams`.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F

from bs_roformer.config import Layout12Config, ModelConfig
from bs_roformer.transformer import AXES, FeedForward, end_norm
from bs_roformer.value_residual import make_attention

Merge = Callable[[Tensor], Tensor]


class Branch(nn.Module):
    """A sub-layer (attention or feed-forward) and the residual around it; a branch in the package
    BS-RoFormer.
    """

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor, *first: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, ..., d) -> the same shape, and the values of an attention.

        Args:
            x: the residual.
            first: for an attention, the values of the first block or None.
        """
        inputs, merge = self.read(x)
        output = self.branch(inputs, *first)
        y, values = output if isinstance(output, tuple) else (output, None)
        return merge(y), values

    def read(self, x: Tensor) -> tuple[Tensor, Merge]:
        """(..., d) -> the sub-layer's input, and how its output joins the residual."""
        return x, lambda y: x + y


class StreamNorm(nn.Module):
    """RMSNorm of the package BS-RoFormer, whose gain is stored as its difference from one."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., d)."""
        return F.normalize(x, dim=-1) * x.shape[-1] ** 0.5 * (1 + self.gamma)


class HyperConnection(Branch):
    """Hyper-connections, of the package BS-RoFormer, with R residual streams: one weighted sum of
    them feeds the sub-layer, R other sums go on.

    Computed in float32 or wider throughout.

    Args:
        branch: the sub-layer.
        dim: features (d).
        extras: number of streams, and rounds that balance their weights.
    """

    def __init__(self, branch: nn.Module, dim: int, extras: Layout12Config) -> None:
        super().__init__(branch)
        self.streams = streams = extras.num_residual_streams
        self.fractions = extras.num_residual_fracs
        self.rounds = extras.mc_hyper_conn_sinkhorn_iters
        self._make_weights(dim // self.fractions, streams * self.fractions)

    def _make_weights(self, dim: int, rows: int) -> None:
        """Parameters for ``rows`` streams, or fractions of streams, of ``dim`` features."""
        fractions = self.fractions
        self.norm = StreamNorm(dim)
        # Every sub-layer starts by reading one stream, drawn here by torch's generator.
        reads = F.one_hot(torch.randint(self.streams, (1,)), rows).float().mT
        static = torch.cat([reads.expand(-1, fractions), torch.eye(rows)], dim=1)
        self.static_alpha = nn.Parameter(static)
        self.dynamic_alpha_fn = nn.Parameter(torch.zeros(1, dim, fractions + rows))
        self.pre_branch_scale = nn.Parameter(torch.full((1,), 0.01))
        self.residual_scale = nn.Parameter(torch.full((1,), 0.01))
        self.static_beta = nn.Parameter(torch.ones(rows))
        shape = (dim,) if fractions == 1 else (dim, fractions)
        self.dynamic_beta_fn = nn.Parameter(torch.zeros(shape))
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
        alpha = self.constrain(alpha)
        beta = normed @ self.dynamic_beta_fn.to(normed.dtype) * self.h_post_scale + self.static_beta
        return alpha, 2 * beta.sigmoid()

    def constrain(self, alpha: Tensor) -> Tensor:
        """(..., R, column) -> the same: the first column in 0..1, the others nearly balanced."""
        kept = (alpha[..., 1:] - alpha[..., 1:].amax(dim=-2, keepdim=True)).exp()
        for _ in range(self.rounds):  # Sinkhorn: towards rows and columns that sum to one
            kept = F.normalize(F.normalize(kept, p=1, dim=-2), p=1, dim=-1)
        return torch.cat([alpha[..., :1].sigmoid(), kept], dim=-1)


class FractionConnection(HyperConnection):
    """Hyper-connections of the package BS-RoFormer whose streams are divided into F fractions, each
    a sum of all fractions of all streams.

    As in the package, only the first of the F columns that feed the sub-layer is a sigmoid; the
    others are balanced together with those that go on.

    Args:
        branch, dim, extras: as for `HyperConnection`; F divides dim.
    """

    def read(self, x: Tensor) -> tuple[Tensor, Merge]:
        """(batch * R, ..., d) -> (batch, ..., d) for the sub-layer, and how its output joins."""
        sizes = {"r": self.streams, "f": self.fractions}
        with torch.autocast(x.device.type, enabled=False):
            exact = torch.promote_types(x.dtype, torch.float32)
            parts = rearrange(x.to(exact), "(b r) ... (f d) -> b ... f r d", **sizes)
            alpha, beta = self.weights(parts)
            rows = parts.flatten(-3, -2)  # (batch, ..., F R, d / F)
            mixed = (alpha.flatten(-3, -2).mT @ rows).unflatten(-2, (self.fractions, -1))
            kept = mixed[..., 1:, :]  # (batch, ..., F, R, d / F)

        def merge(y: Tensor) -> Tensor:
            outputs = y.to(exact).unflatten(-1, (self.fractions, -1))
            joined = kept + torch.einsum("...fd,...frg->...grd", outputs, beta)
            return rearrange(joined, "b ... f r d -> (b r) ... (f d)").to(x.dtype)

        return mixed[..., 0, :].flatten(-2).to(x.dtype), merge

    def weights(self, streams: Tensor) -> tuple[Tensor, Tensor]:
        """(..., F, R, d / F) -> alpha (..., F, R, F + F R), beta (..., F, R, F)."""
        shape = (self.fractions, self.streams)
        normed = self.norm(streams)
        scale = torch.cat(
            [
                self.pre_branch_scale.expand(self.fractions),
                self.residual_scale.expand(self.fractions * self.streams),
            ]
        )
        alpha = normed @ self.dynamic_alpha_fn[0].to(normed.dtype) * scale
        alpha = self.constrain(alpha + self.static_alpha.unflatten(0, shape))
        beta = normed @ self.dynamic_beta_fn.to(normed.dtype) * self.h_post_scale
        return alpha, 2 * (beta + self.static_beta.unflatten(0, shape[::-1])).sigmoid()


def wrap(sub_layer: nn.Module, dim: int, extras: Layout12Config) -> Branch:
    """A sub-layer with hyper-connections, or with a plain residual if there is one stream."""
    if extras.num_residual_fracs > 1:
        return FractionConnection(sub_layer, dim, extras)
    if extras.num_residual_streams == 1:
        return Branch(sub_layer)
    return HyperConnection(sub_layer, dim, extras)


def open_streams(x: Tensor, extras: Layout12Config) -> Tensor:
    """(batch, ...) -> (batch * R, ...): every item R times in a row."""
    return repeat(x, "b ... -> (b r) ...", r=extras.num_residual_streams)


def sum_streams(x: Tensor, extras: Layout12Config) -> Tensor:
    """(batch * R, ...) -> (batch, ...)."""
    return rearrange(x, "(b r) ... -> b r ...", r=extras.num_residual_streams).sum(dim=1)


class BranchedTransformer(nn.Module):
    """`transformer.Transformer` with a `Branch` around every sub-layer, and value residuals, as in
    the package BS-RoFormer.

    Args:
        config, extras: sizes and layout.
        depth: number of layers.
        attention: called once per layer.
    """

    def __init__(
        self,
        config: ModelConfig,
        extras: Layout12Config,
        depth: int,
        attention: Callable[[], nn.Module],
    ) -> None:
        super().__init__()

        def layer() -> nn.ModuleList:
            sub_layers = [attention(), FeedForward(config)]
            return nn.ModuleList(wrap(part, config.dim, extras) for part in sub_layers)

        self.layers = nn.ModuleList(layer() for _ in range(depth))
        self.keeps_values = extras.add_value_residual
        self.norm = end_norm(config)

    def forward(self, x: Tensor, first: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(sequence, position, d) -> the same shape, and its first attention's values if kept."""
        kept = None
        for layer in self.layers:
            attention, feed_forward = layer.children()
            x, values = attention(x, first)
            kept = values if kept is None and self.keeps_values else kept
            del values  # a view that keeps queries and keys in memory
            x, _ = feed_forward(x)
        return self.norm(x), kept


class BranchedBlock(nn.ModuleDict):
    """`transformer.Block` of `BranchedTransformer`s that hands on its values, as in the package
    BS-RoFormer.

    Children are numbered as in `transformer.Block`, but the mel network counts from 1 where it has
    no linear attention.
    """

    def __init__(
        self, transformers: Mapping[str, nn.Module], first_number: int, keeps_values: bool
    ) -> None:
        super().__init__({str(i): t for i, t in enumerate(transformers.values(), first_number)})
        self.axes = [*transformers]
        self.keeps_values = keeps_values

    def forward(self, x: Tensor, first: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """(b, t, k, d) -> the same shape, and the values of each axis if later blocks mix them in.

        Args:
            x: the tokens.
            first: values of the first block by axis; empty for the first block itself.
        """
        values = {}
        for axis, transformer in zip(self.axes, self.children(), strict=True):
            to_sequences, back = AXES[axis]
            sizes = dict(zip("btk", x.shape, strict=False))
            y, own = transformer(rearrange(x, to_sequences), first.get(axis))
            x = rearrange(y, back, **sizes)
            if self.keeps_values:
                values[axis] = own
        return x, values


def make_branched_blocks(
    config: ModelConfig, extras: Layout12Config, positions: Mapping[str, nn.Module]
) -> list[nn.Module]:
    """All blocks of layout "1.2".

    Args:
        config, extras: sizes and layout.
        positions: the position embeddings of the axes "time" and "freq".
    """
    first_number = int(config.kind == "mel" and not config.linear_transformer_depth)
    blocks: list[nn.Module] = []
    for number in range(config.depth):
        transformers = {
            axis: BranchedTransformer(
                config,
                extras,
                depth,
                partial(make_attention, config, extras, positions.get(axis), number),
            )
            for axis, depth in config.depths.items()
        }
        keeps_values = extras.add_value_residual and number == 0
        blocks.append(BranchedBlock(transformers, first_number, keeps_values))
    return blocks


def run_branched_blocks(
    blocks: Iterable[nn.Module],
    x: Tensor,
    extras: Layout12Config,
    run: Callable[..., Any],
) -> Tensor:
    """(b, t, k, d) -> the same shape, through all blocks.

    Args:
        blocks: from `make_branched_blocks`.
        x: the tokens.
        extras: number of streams.
        run: calls a block with its arguments.
    """
    x = open_streams(x, extras)
    first: dict[str, Tensor] = {}
    for block in blocks:
        x, values = run(block, x, first)
        first = first or values
    return sum_streams(x, extras)
