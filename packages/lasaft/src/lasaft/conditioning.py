"""How a condition reaches the features: control block, FiLM, PoCM and GPoCM (paper, sec. 2)."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from lasaft.blocks import Modulation, activation
from lasaft.config import ModelConfig


class ControlBlock(nn.Module):
    """The embedding, widened layer by layer: E, 2E, 4E, ..., E * 2 ** (control_n_layer - 1)."""

    def __init__(self, embedding_dim: int, n_layer: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(embedding_dim, 2 * embedding_dim), nn.ReLU()]
        for level in range(1, n_layer - 1):
            width = embedding_dim * 2**level
            layers += [nn.Linear(width, 2 * width), nn.ReLU()]
            layers += [nn.Dropout(0.5), nn.BatchNorm1d(2 * width)]
        self.linear = nn.Sequential(*layers)

    def forward(self, embedding: Tensor) -> Tensor:
        """(condition, E) -> (condition, widened)."""
        found: Tensor = self.linear(embedding)
        return found


class ConditionGenerator(nn.Module):
    """Gamma and beta of every modulated block, from the embedding.

    Args:
        config: sizes and kinds.
        blocks: how many blocks are modulated.
    """

    def __init__(self, config: ModelConfig, blocks: int) -> None:
        super().__init__()
        self.kind = config.modulation
        self.transposed = config.pocm_type == "naive"
        self.dense_control_block = ControlBlock(config.embedding_dim, config.control_n_layer)
        hidden = config.embedding_dim * 2 ** (config.control_n_layer - 1)
        channels = config.internal_channels
        # Numbers of gamma and beta per block.
        self.sizes = channels * channels, channels
        names: tuple[str | None, str | None] = (None, None)
        if self.kind == "FiLM":
            self.sizes = (channels, channels) if config.film_type == "complex" else (1, 1)
            names = config.gamma_activation, config.beta_activation
        norm = self.kind != "FiLM" and config.pocm_norm is not None
        self.linear_gamma = _linear(hidden, blocks * self.sizes[0], names[0], norm)
        self.linear_beta = _linear(hidden, blocks * self.sizes[1], names[1], norm)

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """(condition, E) -> (condition, blocks * numbers) factors and shifts."""
        hidden = self.dense_control_block(embedding)
        return self.linear_gamma(hidden), self.linear_beta(hidden)

    def modulations(self, factors: Tensor, shifts: Tensor) -> list[Modulation]:
        """One per block, for as many items as there are conditions in the two."""
        gammas = factors.split(self.sizes[0], dim=1)
        betas = shifts.split(self.sizes[1], dim=1)
        return [self._one(g, b) for g, b in zip(gammas, betas, strict=True)]

    def _one(self, gamma: Tensor, beta: Tensor) -> Modulation:
        if self.kind == "FiLM":
            return lambda x: film(x, gamma, beta)
        gamma = rearrange(gamma, "s (i o) -> s i o", o=beta.shape[1])
        if self.transposed:  # the authors' naive form applies the other matrix
            gamma = gamma.transpose(1, 2)
        if self.kind == "PoCM":
            return lambda x: pocm(x, gamma, beta)
        return lambda x: gpocm(x, gamma, beta)


def _linear(inputs: int, outputs: int, act: str | None, norm: bool) -> nn.Sequential:
    # An identity stands where FiLM has its activation: published keys count it.
    layers: list[nn.Module] = [nn.Linear(inputs, outputs), activation(act or "identity")]
    if norm:
        layers.append(nn.BatchNorm1d(outputs, affine=False))
    return nn.Sequential(*layers)


def film(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """gamma * x + beta, one of each per channel, or one for all.

    (item, channel, frame, bin), twice (item, channel or 1) -> the first's shape.
    """
    return gamma[..., None, None] * x + beta[..., None, None]


def pocm(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """A generated 1x1 convolution: out_o = beta_o + sum over i of x_i * gamma[i, o].

    (item, channel, frame, bin), (item, channel, channel), (item, channel) -> the first's shape.
    """
    weights, shift = gamma.transpose(1, 2).to(x.dtype), beta[..., None].to(x.dtype)
    return torch.baddbmm(shift, weights, x.flatten(2)).view_as(x)


def gpocm(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """sigmoid(PoCM(x)) * x; shapes as in ``pocm``."""
    return pocm(x, gamma, beta).sigmoid() * x
