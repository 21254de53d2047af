"""How a condition reaches the features: the condition generator, and FiLM, PoCM and GPoCM."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from lasaft.blocks import Modulation, activation
from lasaft.config import ModelConfig
from lasaft.folded import in_other_order


class ControlBlock(nn.Module):
    """The dense layers of the condition generator: E, 2E, 4E, ..., E * 2 ** (n_layer - 1) units.

    `dense_control_block` of the authors' code.

    Args:
        embedding_dim: E.
        n_layer: one more than the linear layers.
    """

    def __init__(self, embedding_dim: int, n_layer: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(embedding_dim, 2 * embedding_dim), nn.ReLU()]
        for level in range(1, n_layer - 1):
            width = embedding_dim * 2**level
            layers += [nn.Linear(width, 2 * width), nn.ReLU()]
            layers += [nn.Dropout(0.5), nn.BatchNorm1d(2 * width)]
        self.linear = nn.Sequential(*layers)

    def forward(self, embedding: Tensor) -> Tensor:
        """(condition, E) -> (condition, E * 2 ** (n_layer - 1))."""
        hidden: Tensor = self.linear(embedding)
        return hidden


class ConditionGenerator(nn.Module):
    """The paper's condition generator: gamma and beta of every modulated block, from the embedding.

    PoCM's gamma is the paper's omega, a matrix per block.

    Args:
        config: sizes and kind of modulation.
        blocks: how many blocks are modulated.
    """

    def __init__(self, config: ModelConfig, blocks: int) -> None:
        super().__init__()
        self.kind = config.modulation
        self.transposed = config.pocm_type == "naive"
        self.dense_control_block = ControlBlock(config.embedding_dim, config.control_n_layer)
        hidden = config.embedding_dim * 2 ** (config.control_n_layer - 1)
        channels = config.internal_channels
        # How many values gamma and beta have per block.
        self.sizes = channels * channels, channels
        names: tuple[str | None, str | None] = (None, None)
        if self.kind == "FiLM":
            self.sizes = (channels, channels) if config.film_type == "complex" else (1, 1)
            names = config.gamma_activation, config.beta_activation
        norm = self.kind != "FiLM" and config.pocm_norm is not None
        self.linear_gamma = _linear(hidden, blocks * self.sizes[0], names[0], norm)
        self.linear_beta = _linear(hidden, blocks * self.sizes[1], names[1], norm)

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """(condition, E) -> all gammas and all betas, (condition, blocks * values of one block)."""
        hidden = self.dense_control_block(embedding)
        return self.linear_gamma(hidden), self.linear_beta(hidden)

    def modulations(self, gammas: Tensor, betas: Tensor) -> list[Modulation]:
        """The modulation of each modulated block, from what ``forward`` returns.

        Item i of the features is modulated by condition i.
        """
        per_block = zip(
            gammas.split(self.sizes[0], dim=1), betas.split(self.sizes[1], dim=1), strict=True
        )
        return [self._modulation(gamma, beta) for gamma, beta in per_block]

    def _modulation(self, gamma: Tensor, beta: Tensor) -> Modulation:
        if self.kind == "FiLM":
            return lambda x: film(x, gamma, beta)
        gamma = rearrange(gamma, "s (i o) -> s i o", o=beta.shape[1])
        if self.transposed:  # the authors' "naive" form applies the transposed matrix
            gamma = gamma.transpose(1, 2)
        if self.kind == "PoCM":
            return lambda x: pocm(x, gamma, beta)
        return lambda x: gpocm(x, gamma, beta)


def _linear(inputs: int, outputs: int, act: str | None, norm: bool) -> nn.Sequential:
    # Without an activation an identity keeps its index in the published keys.
    layers: list[nn.Module] = [nn.Linear(inputs, outputs), activation(act or "identity")]
    if norm:
        layers.append(nn.BatchNorm1d(outputs, affine=False))
    return nn.Sequential(*layers)


def film(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """FiLM, feature-wise linear modulation (paper): FiLM(X_c) = gamma_c * X_c + beta_c.

    Args:
        x: (item, channel, frame, bin).
        gamma, beta: (item, channel), or (item, 1) for the simple kind.

    Returns:
        (item, channel, frame, bin).
    """
    return gamma[..., None, None] * x + beta[..., None, None]


def pocm(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """PoCM, point-wise convolutional modulation: PoCM(X_c) = beta_c + sum over j of omega_cj * X_j.

    In the paper a 1x1 convolution whose weights the condition generates.

    Args:
        x: (item, channel, frame, bin).
        gamma: (item, input channel, output channel): gamma[:, j, c] is omega_cj.
        beta: (item, channel).

    Returns:
        (item, channel, frame, bin).
    """
    gamma, beta = gamma.to(x.dtype), beta.to(x.dtype)
    if in_other_order(x):
        rows = rearrange(x, "b c t f -> b (t f) c")
        product = torch.baddbmm(beta[:, None], rows, gamma)
        return rearrange(product, "b (t f) c -> b c t f", f=x.shape[-1])
    return torch.baddbmm(beta[..., None], gamma.mT, x.flatten(2)).view_as(x)


def gpocm(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """GPoCM, gated point-wise convolutional modulation: GPoCM(X) = sigmoid(PoCM(X)) * X (paper).

    Shapes as in ``pocm``.
    """
    gates = pocm(x, gamma, beta)
    return gates.sigmoid() * x if torch.is_grad_enabled() else gates.sigmoid_().mul_(x)
