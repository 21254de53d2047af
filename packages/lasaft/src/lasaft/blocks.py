"""The intermediate blocks of LaSAFT-Net and of the U-Nets of 2020 that it grew from.

Every block maps (batch, in, frame, bin) to (batch, out, frame, bin): time is the height of the
image, frequency its width. Attribute names are those of published weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from einops import rearrange
from torch import Tensor, nn

Modulation = Callable[[Tensor], Tensor]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


def activation(name: str) -> nn.Module:
    """The module of an activation's name.

    Raises:
        ValueError: if there is none.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"activation {name!r} is unknown: choose from {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


def bottleneck(bins: int, factor: int, least: int) -> int:
    """Units between the two linear layers of a frequency transformation."""
    return max(bins // factor, least)


class Block(nn.Module):
    """What the U-Net asks of a block.

    ``embedding`` is (item, feature) for blocks with attention; ``modulation`` changes the features
    between convolutions and frequency transformation, or after a block without one.
    """

    def forward(
        self, x: Tensor, embedding: Tensor | None = None, modulation: Modulation | None = None
    ) -> Tensor:
        """(item, in, frame, bin) -> (item, out, frame, bin)."""
        return self.finish(self.prepare(x, modulation is not None), embedding, modulation)

    def prepare(self, x: Tensor, modulated: bool) -> tuple[Tensor, ...]:
        """What no condition changes, to be computed once for all of them."""
        return (self.convolve(x),)

    def finish(
        self,
        prepared: tuple[Tensor, ...],
        embedding: Tensor | None,
        modulation: Modulation | None,
    ) -> Tensor:
        """The rest, for one condition per item."""
        [features] = prepared
        if modulation is not None:
            features = modulation(features)
        return self.transform(features)

    def convolve(self, x: Tensor) -> Tensor:
        """(item, in, frame, bin) -> (item, out, frame, bin)."""
        raise NotImplementedError

    def transform(self, features: Tensor) -> Tensor:
        """The frequency transformation and its residual; none in the plain blocks."""
        return features


def dense(layers: Iterable[nn.Module], x: Tensor) -> Tensor:
    """A dense block: each layer reads the newest feature first, all older ones after it."""
    *inner, last = layers
    for layer in inner:
        x = torch.cat((layer(x), x), dim=1)
    found: Tensor = last(x)
    return found


class TFC(Block):
    """Time-frequency convolutions, densely connected; the last layer's output is the block's."""

    def __init__(
        self, in_channels: int, num_layers: int, gr: int, kt: int, kf: int, act: str = "relu"
    ) -> None:
        super().__init__()
        self.H = nn.ModuleList(
            convolution(in_channels + k * gr, gr, kt, kf, act) for k in range(num_layers)
        )

    def convolve(self, x: Tensor) -> Tensor:
        """(item, in, frame, bin) -> (item, gr, frame, bin)."""
        return dense(self.H, x)


def convolution(
    in_channels: int, out: int, kt: int, kf: int, act: str, dilation: int = 1
) -> nn.Sequential:
    """One layer of TFC; kt is along frames, kf along bins, of which the authors' code swaps one."""
    padding = (dilation * (kt // 2), dilation * (kf // 2))
    conv = nn.Conv2d(in_channels, out, (kt, kf), padding=padding, dilation=dilation)
    return nn.Sequential(conv, nn.BatchNorm2d(out), activation(act))


class DTFC(nn.Module):
    """A dense block dilated by 1, 3, 5, ... between a first and a last convolution (no net's)."""

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
) -> nn.Sequential:
    """Linear layers on the last axis from bins to bins, each with batch norm and activation."""
    layers: list[nn.Module] = []
    for before, after in zip(bins, bins[1:], strict=False):
        norm = nn.BatchNorm2d(channels, affine=affine)
        layers += [nn.Linear(before, after, bias), norm, activation(act)]
    return nn.Sequential(*layers)


class TDF(nn.Module):
    """Time-distributed frequency transformation, f1 bins to f2; a bottleneck of f2 / bn_factor.

    Without ``bn_factor`` it is a single layer.
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
        found: Tensor = self.tdf(x)
        return found


def tdf_widths(f1: int, f2: int, factor: int | None, least: int) -> list[int]:
    """Units before, between and after the linear layers of a frequency transformation."""
    return [f1, f2] if factor is None else [f1, bottleneck(f2, factor, least), f2]


class TFC_TDF(Block):
    """y = TFC(x); y + TDF(y)."""

    def __init__(self, tfc: TFC, tdf: TDF) -> None:
        super().__init__()
        self.tfc = tfc
        self.tdf = tdf

    def convolve(self, x: Tensor) -> Tensor:
        """(item, in, frame, bin) -> (item, out, frame, bin)."""
        return self.tfc.convolve(x)

    def transform(self, features: Tensor) -> Tensor:
        """(item, channel, frame, bin) -> the same shape."""
        found: Tensor = features + self.tdf(features)
        return found


class Attentive(Block):
    """Convolutions, and keys that an embedding is compared with (paper, sec. 3: LaSAFT).

    The weights depend on the condition alone, not on time, frequency or content.
    """

    linear_query: nn.Linear  # made by the subclass, last: the order of published weights

    def __init__(self, tfc: TFC, num_tdfs: int, dk: int) -> None:
        super().__init__()
        self.keys = nn.Parameter(torch.randn(dk, num_tdfs))
        self.tfc = tfc

    def convolve(self, x: Tensor) -> Tensor:
        """(item, in, frame, bin) -> (item, out, frame, bin)."""
        return self.tfc.convolve(x)

    def prepare(self, x: Tensor, modulated: bool) -> tuple[Tensor, ...]:
        """Features, and latent sources unless a modulation comes between."""
        features = self.convolve(x)
        return (features,) if modulated else (features, self.latent(features))

    def finish(
        self,
        prepared: tuple[Tensor, ...],
        embedding: Tensor | None,
        modulation: Modulation | None,
    ) -> Tensor:
        """Mix the latent sources for one condition per item and add the features."""
        assert embedding is not None
        features, *latent = prepared
        if modulation is not None:
            features = modulation(features)
        sources = latent[0] if latent else self.latent(features)
        return features + self.mix(sources, self.attention(embedding))

    def latent(self, features: Tensor) -> Tensor:
        """(item, channel, frame, bin) -> latent sources."""
        raise NotImplementedError

    def mix(self, sources: Tensor, weights: Tensor) -> Tensor:
        """Latent sources, (item, latent source) -> (item, channel, frame, bin)."""
        raise NotImplementedError

    def attention(self, embedding: Tensor) -> Tensor:
        """(item, feature) -> (item, latent source), rows sum to one."""
        query = self.linear_query(embedding)
        weights: Tensor = (query @ self.keys / math.sqrt(len(self.keys))).softmax(dim=-1)
        return weights


class TFC_LaSAFT(Attentive):
    """Frequency transformations of latent sources, mixed by attention; none sees the condition."""

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

    def latent(self, features: Tensor) -> Tensor:
        """(item, channel, frame, bin) -> (item, channel, frame, bin, latent source)."""
        return rearrange(self.tdfs(features), "b c t (f l) -> b c t f l", l=self.keys.shape[1])

    def mix(self, sources: Tensor, weights: Tensor) -> Tensor:
        """(item, channel, frame, bin, latent source) -> without the last."""
        mixed = sources.flatten(1, 3) @ weights.to(sources.dtype)[..., None]
        return mixed.view(sources.shape[:-1])


class TFC_LightSAFT(Attentive):
    """As LaSAFT, with the latent sources mixed inside of the bottleneck."""

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

    def latent(self, features: Tensor) -> Tensor:
        """(item, channel, frame, bin) -> (item, channel, frame, latent source, unit)."""
        units = self.LaSAFT_bn_layer(features)
        return rearrange(units, "b c t (l u) -> b c t l u", l=self.keys.shape[1])

    def mix(self, sources: Tensor, weights: Tensor) -> Tensor:
        """(item, channel, frame, latent source, unit) -> (item, channel, frame, bin)."""
        mixed = torch.einsum("b c t l u, b l -> b c t u", sources, weights)
        found: Tensor = self.LaSIFT(mixed)
        return found
