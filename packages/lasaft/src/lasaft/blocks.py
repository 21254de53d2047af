"""The intermediate blocks of LaSAFT-Net: TFC, TFC-TDF, LaSAFT and LightSAFT.

Every block maps (item, in, frame, bin) to (item, out, frame, bin): time is the height of the image,
frequency its width. Attribute names are the keys of the published weights. Blocks that only the
earlier networks of 2020 use are in ``svs2020.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from lasaft.folded import Folded, dense_folded, hooked, makes_dense, own

Modulation = Callable[[Tensor], Tensor]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


def activation(name: str) -> nn.Module:
    """A new module for the activation ``name``, one of ``ACTIVATIONS``.

    Raises:
        ValueError: if there is no such activation.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"activation {name!r} is unknown: choose from {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


def bottleneck(bins: int, factor: int, least: int) -> int:
    """Units between the two linear layers of a frequency transformation: bins / factor."""
    return max(bins // factor, least)


class Block(nn.Module):
    """An intermediate block (paper): convolutions, modulation, frequency transformation, in order.

    Modulation (FiLM, PoCM, GPoCM) acts between the convolutions and the frequency transformation,
    and at the end of a block that has no frequency transformation.
    """

    def forward(
        self, x: Tensor, embedding: Tensor | None = None, modulation: Modulation | None = None
    ) -> Tensor:
        """(item, in, frame, bin) -> (item, out, frame, bin).

        Args:
            x: what the block reads.
            embedding: (item, feature) of each item's condition, for blocks with attention.
            modulation: FiLM, PoCM or GPoCM for these items; None if the block is not modulated.
        """
        features = self.convolve(x)
        if modulation is not None:
            features = modulation(features)
        return self.transform(features, embedding)

    def convolve(self, x: Tensor) -> Tensor:
        """(item, in, frame, bin) -> (item, out, frame, bin)."""
        raise NotImplementedError

    def transform(self, features: Tensor, embedding: Tensor | None) -> Tensor:
        """The frequency transformation with its skip connection; plain blocks have none."""
        return features


def dense(layers: Iterable[nn.Module], x: Tensor) -> Tensor:
    """A dense block: each layer reads its predecessor's output first, then all earlier ones."""
    *inner, last = layers
    for layer in inner:
        x = torch.cat((layer(x), x), dim=1)
    newest: Tensor = last(x)
    return newest


class TFC(Block):
    """TFC, time-frequency convolutions (Choi et al., ISMIR 2020): a dense block that returns its
    last layer's output.

    Args:
        in_channels: of the block's input.
        num_layers: convolutions.
        gr: growth rate, the output channels of each layer and of the block.
        kt, kf: kernel size along frames and along bins, odd.
        act: activation after every layer's batch norm.
    """

    def __init__(
        self, in_channels: int, num_layers: int, gr: int, kt: int, kf: int, act: str = "relu"
    ) -> None:
        super().__init__()
        self.H = nn.ModuleList(
            convolution(in_channels + k * gr, gr, kt, kf, act) for k in range(num_layers)
        )

    def convolve(self, x: Tensor) -> Tensor:
        """(item, in, frame, bin) -> (item, gr, frame, bin)."""
        layers: list[Any] = list(self.H)
        if hooked(self) or not (makes_dense(layers) and all(layer.folds(x) for layer in layers)):
            return dense(layers, x)
        return dense_folded(layers, x)


def convolution(
    in_channels: int, out: int, kt: int, kf: int, act: str, dilation: int = 1
) -> Folded:
    """One layer of a TFC: convolution, batch norm, activation; input and output have one size."""
    # The authors' code swaps kt and kf in the kernel but not in the padding.
    padding = (dilation * (kt // 2), dilation * (kf // 2))
    conv = nn.Conv2d(in_channels, out, (kt, kf), padding=padding, dilation=dilation)
    return Folded(conv, nn.BatchNorm2d(out), activation(act))


class DTFC(nn.Module):
    """DTFC, of the authors' code: a TFC dilated by 1, 3, 5, ... between a first and a last
    convolution; no network uses it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_layers: int,
        gr: int,
        kt: int,
        kf: int,
        act: str = "relu",
    ) -> None:
        super().__init__()
        inner = num_layers - 2
        self.first_conv = convolution(in_channels, gr, kt, kf, act)
        self.H = nn.ModuleList(
            convolution(gr * (k + 1), gr, kt, kf, act, 2 * k + 1) for k in range(inner)
        )
        self.last_conv = convolution(gr * (inner + 1), out_channels, kt, kf, act)

    def forward(self, x: Tensor) -> Tensor:
        """(item, in, frame, bin) -> (item, out, frame, bin)."""
        return dense([*self.H, self.last_conv], self.first_conv(x))


def frequency_layers(
    channels: int,
    bins: Sequence[int],
    bias: bool,
    act: str,
    affine: bool = True,
) -> Folded:
    """Linear layers on the last axis, each with batch norm and activation.

    Args:
        channels: of the features, for the batch norms.
        bins: size of the last axis before the first layer and after each layer.
        bias: whether the linear layers have biases.
        act: activation.
        affine: whether the batch norms have weights.
    """
    layers: list[nn.Module] = []
    for before, after in zip(bins, bins[1:], strict=False):
        norm = nn.BatchNorm2d(channels, affine=affine)
        layers += [nn.Linear(before, after, bias), norm, activation(act)]
    return Folded(*layers)


class TDF(nn.Module):
    """TDF, time-distributed fully-connected layers (Choi et al., ISMIR 2020): f1 bins to f2, each
    frame by itself.

    Two linear layers with a bottleneck of f2 / bn_factor units between them, at least
    ``min_bn_units``; a single layer if ``bn_factor`` is None.
    """

    def __init__(
        self,
        channels: int,
        f1: int,
        f2: int,
        bn_factor: int | None,
        bias: bool,
        min_bn_units: int,
        act: str = "relu",
    ) -> None:
        super().__init__()
        self.tdf = frequency_layers(
            channels, tdf_widths(f1, f2, bn_factor, min_bn_units), bias, act
        )

    def forward(self, x: Tensor) -> Tensor:
        """(item, channel, frame, f1) -> (item, channel, frame, f2)."""
        transformed: Tensor = self.tdf(x)
        return transformed


def tdf_widths(f1: int, f2: int, factor: int | None, least: int) -> list[int]:
    """Units before, between and after the linear layers of a frequency transformation."""
    return [f1, f2] if factor is None else [f1, bottleneck(f2, factor, least), f2]


class TFC_TDF(Block):
    """TFC-TDF (Choi et al., ISMIR 2020): y = TFC(x); y + TDF(y)."""

    def __init__(self, tfc: TFC, tdf: TDF) -> None:
        super().__init__()
        self.tfc = tfc
        self.tdf = tdf

    def convolve(self, x: Tensor) -> Tensor:
        """(item, in, frame, bin) -> (item, out, frame, bin)."""
        return self.tfc.convolve(x)

    def transform(self, features: Tensor, embedding: Tensor | None) -> Tensor:
        """(item, channel, frame, bin) -> the same shape."""
        transformed: Tensor = features + self.tdf(features)
        return transformed


class Attentive(Block):
    """y = TFC(x); y + Attention(Q, K, V') over the latent sources V' of y, as in the paper.

    Attention(Q, K, V') = softmax(Q K^T / sqrt(d_k)) V': the query Q comes from the embedding of the
    condition, the keys K are learnt, so the attention depends on the stem alone and not on time,
    frequency or content. ``keys`` holds K^T.
    """

    linear_query: nn.Linear  # created last in the subclasses: the order of the published weights

    def __init__(self, tfc: TFC, num_tdfs: int, dk: int) -> None:
        super().__init__()
        self.keys = nn.Parameter(torch.randn(dk, num_tdfs))
        self.tfc = tfc

    def convolve(self, x: Tensor) -> Tensor:
        """(item, in, frame, bin) -> (item, out, frame, bin)."""
        return self.tfc.convolve(x)

    def transform(self, features: Tensor, embedding: Tensor | None) -> Tensor:
        """(item, channel, frame, bin), (item, feature) -> the first's shape."""
        assert embedding is not None
        [transformed] = self.transform_for(features, [embedding])
        return transformed

    def transform_for(self, features: Tensor, embeddings: Sequence[Tensor]) -> list[Tensor]:
        """The transforms of the same features for several conditions, as ``transform`` has one.

        Args:
            features: (item, channel, frame, bin).
            embeddings: (item, feature) of each condition.
        """
        sources = self.latent_sources(features)
        return [features + self.mix(sources, self.attention(each)) for each in embeddings]

    def attention(self, embedding: Tensor) -> Tensor:
        """softmax(Q K^T / sqrt(d_k)): (item, feature) -> (item, latent source); rows sum to one."""
        query = self.linear_query(embedding)
        weights: Tensor = (query @ self.keys / math.sqrt(len(self.keys))).softmax(dim=-1)
        return weights

    def latent_sources(self, features: Tensor) -> Tensor:
        """V' of (item, channel, frame, bin) features; its shape is the subclass's own."""
        raise NotImplementedError

    def mix(self, sources: Tensor, weights: Tensor) -> Tensor:
        """V' and (item, latent source) weights -> (item, channel, frame, bin)."""
        raise NotImplementedError


class TFC_LaSAFT(Attentive):
    """LaSAFT, the paper's latent source attentive frequency transformation, after a TFC.

    A TDF whose second layer has one copy per latent source, and the attention that weights the
    copies by the condition. The bottleneck grows with the number of latent sources.

    Args:
        tfc: the convolutions.
        channels: of their output.
        f: bins.
        bn_factor, min_bn_units, bias, act: of the TDF.
        condition_dim: features of the embedding.
        num_tdfs: latent sources, |I_L| in the paper.
        dk: size of the query and of each key, d_k in the paper.
    """

    def __init__(
        self,
        tfc: TFC,
        channels: int,
        f: int,
        bn_factor: int,
        min_bn_units: int,
        bias: bool,
        condition_dim: int,
        num_tdfs: int,
        dk: int,
        act: str = "relu",
    ) -> None:
        super().__init__(tfc, num_tdfs, dk)
        self.tdfs = TDF(channels, f, f * num_tdfs, bn_factor, bias, min_bn_units, act)
        self.linear_query = nn.Linear(condition_dim, dk)

    def transform_for(self, features: Tensor, embeddings: Sequence[Tensor]) -> list[Tensor]:
        """The transforms of the same features for several conditions."""
        if not self.mixes(features):
            return super().transform_for(features, embeddings)
        mixed = self.tdfs.tdf.mixed(features, [self.attention(each) for each in embeddings])
        # Emptied on the way, and in the memory order of the features, which convolutions need.
        return [features + mixed.pop(0) for _ in embeddings]

    def mixes(self, features: Tensor) -> bool:
        """Whether latent sources need not all be there before they are mixed."""
        others = {"latent_sources", "mix"} & {*vars(self)} or type(self) is not TFC_LaSAFT
        if others or hooked(self.tdfs) or not own(self.tdfs, TDF):
            return False
        layers = self.tdfs.tdf
        if not own(layers, Folded) or len(layers) % 3 or not own(layers[-3], nn.Linear):
            return False
        return own(layers[-1], *ACTIVATIONS.values()) and layers.folds(features)

    def latent_sources(self, features: Tensor) -> Tensor:
        """(item, channel, frame, bin) -> (item, channel, frame, bin, latent source)."""
        return rearrange(self.tdfs(features), "b c t (f l) -> b c t f l", l=self.keys.shape[1])

    def mix(self, sources: Tensor, weights: Tensor) -> Tensor:
        """(item, channel, frame, bin, latent source) -> (item, channel, frame, bin)."""
        mixed = sources.flatten(1, 3) @ weights.to(sources.dtype)[..., None]
        return mixed.view(sources.shape[:-1])


class TFC_LightSAFT(Attentive):
    """LightSAFT of the authors' code, after a TFC: LaSAFT with the latent sources mixed inside the
    bottleneck.

    Arguments as in ``TFC_LaSAFT``; the second layer exists once and reads the mixed bottleneck.
    """

    def __init__(
        self,
        tfc: TFC,
        channels: int,
        f: int,
        bn_factor: int,
        min_bn_units: int,
        bias: bool,
        condition_dim: int,
        num_tdfs: int,
        dk: int,
        act: str = "relu",
    ) -> None:
        super().__init__(tfc, num_tdfs, dk)
        units = bottleneck(f, bn_factor, min_bn_units)
        self.LaSAFT_bn_layer = frequency_layers(channels, [f, units * num_tdfs], bias, act)
        self.LaSIFT = frequency_layers(channels, [units, f], bias, act)
        self.linear_query = nn.Linear(condition_dim, dk)

    def latent_sources(self, features: Tensor) -> Tensor:
        """(item, channel, frame, bin) -> (item, channel, frame, latent source, unit)."""
        units = self.LaSAFT_bn_layer(features)
        return rearrange(units, "b c t (l u) -> b c t l u", l=self.keys.shape[1])

    def mix(self, sources: Tensor, weights: Tensor) -> Tensor:
        """(item, channel, frame, latent source, unit) -> (item, channel, frame, bin)."""
        mixed = torch.einsum("b c t l u, b l -> b c t u", sources, weights)
        transformed: Tensor = self.LaSIFT(mixed)
        return transformed
