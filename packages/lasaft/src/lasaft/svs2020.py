"""Blocks that only the U-Nets for singing voice separation of 2020 use (Choi et al., ISMIR 2020).

Attribute names are the keys of their weights.
"""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn

from lasaft.blocks import (
    TFC,
    Block,
    Modulation,
    activation,
    dense,
    frequency_layers,
    tdf_widths,
)


class TDC(Block):
    """TDC, time-distributed convolutions: a TFC along frequency only, each frame by itself.

    Called TIC in the code of 2020. Arguments as in ``TFC``.
    """

    def __init__(
        self, in_channels: int, num_layers: int, gr: int, kf: int, act: str = "relu"
    ) -> None:
        super().__init__()
        self.H = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(in_channels + k * gr, gr, kf, padding=kf // 2),
                nn.BatchNorm1d(gr),
                activation(act),
            )
            for k in range(num_layers)
        )

    def convolve(self, x: Tensor) -> Tensor:
        """(item, in, frame, bin) -> (item, gr, frame, bin)."""
        frames = rearrange(x, "b c t f -> (b t) c f")
        return rearrange(dense(self.H, frames), "(b t) c f -> b c t f", b=len(x))


class TIF(nn.Module):
    """The TDF of 2020: its batch norms have weights only if its linear layers have biases.

    Called TIF in the code of 2020. Arguments as in ``TDF``.
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
        widths = tdf_widths(f1, f2, bn_factor, min_bn_units)
        self.tif = frequency_layers(channels, widths, bias, act, affine=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(item, channel, frame, f1) -> (item, channel, frame, f2)."""
        transformed: Tensor = self.tif(x)
        return transformed


class TDFBlock(Block):
    """The block of the TDF network in the code of 2020: a single frequency transformation without
    a skip connection.
    """

    def __init__(self, tif: nn.Sequential) -> None:
        super().__init__()
        self.tif = tif

    def convolve(self, x: Tensor) -> Tensor:
        """(item, channel, frame, bin) -> the same shape."""
        transformed: Tensor = self.tif(x)
        return transformed


class TDFDecoderBlock(nn.Sequential):
    """A ``TDFBlock`` in the decoder, and a 1x1 convolution back to the network's channels, as in
    the code of 2020.

    Keys are those of a Sequential; the two arguments it ignores are those of every block.
    """

    def forward(
        self, x: Tensor, embedding: Tensor | None = None, modulation: Modulation | None = None
    ) -> Tensor:
        """(item, in, frame, bin) -> (item, out, frame, bin)."""
        block, projection = self
        narrowed: Tensor = projection(block(x))
        return narrowed


class TFC_TIF(Block):
    """TFC-TDF with the TDF of the code of 2020: y = TFC(x); y + TIF(y)."""

    def __init__(self, tfc: TFC, tif: TIF) -> None:
        super().__init__()
        self.tfc = tfc
        self.tif = tif

    def convolve(self, x: Tensor) -> Tensor:
        """(item, in, frame, bin) -> (item, out, frame, bin)."""
        return self.tfc.convolve(x)

    def transform(self, features: Tensor, embedding: Tensor | None) -> Tensor:
        """(item, channel, frame, bin) -> the same shape."""
        transformed: Tensor = features + self.tif(features)
        return transformed


class Recurrent(Block):
    """TFC-RNN and TDC-RNN, of the code of 2020: convolutions, a GRU over time on vectors of bins, a
    TDF back to bins.

    Args:
        convolutions: attribute name and module of the TFC or TDC.
        transformation: attribute name and module of the TDF, from both directions to ``f`` bins.
        channels: of the convolutions' output.
        f: bins.
        hidden: units of the GRU in each direction.
    """

    def __init__(
        self,
        convolutions: tuple[str, Block],
        transformation: tuple[str, nn.Module],
        channels: int,
        f: int,
        hidden: int,
    ) -> None:
        super().__init__()
        self.parts = convolutions[0], transformation[0]
        self.add_module(*convolutions)
        self.bn = nn.BatchNorm2d(channels)
        self.rnn = nn.GRU(f, hidden, batch_first=True, bidirectional=True)
        self.add_module(*transformation)

    def convolve(self, x: Tensor) -> Tensor:
        """(item, in, frame, bin) -> (item, out, frame, bin)."""
        features: Tensor = self.get_submodule(self.parts[0])(x)
        return features

    def transform(self, features: Tensor, embedding: Tensor | None) -> Tensor:
        """(item, channel, frame, bin) -> the same shape."""
        normalised = self.bn(features)
        hidden, _ = self.rnn(rearrange(normalised, "b c t f -> (b c) t f"))
        hidden = rearrange(hidden, "(b c) t f -> b c t f", b=len(features))
        transformed: Tensor = normalised + self.get_submodule(self.parts[1])(hidden)
        return transformed


class FrequencyResampling(nn.Module):
    """Halves or doubles the bins, each frame by itself: the resampling of the TDF and TDC networks.

    In the code of 2020 the batch norm always has 24 channels; this one has as many as the network.
    """

    def __init__(self, channels: int, up: bool) -> None:
        super().__init__()
        kind = nn.ConvTranspose1d if up else nn.Conv1d
        self.conv = kind(channels, channels, 2, stride=2)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(item, channel, frame, bin) -> half or twice as many bins."""
        frames = self.conv(rearrange(x, "b c t f -> (b t) c f"))
        resampled: Tensor = self.bn(rearrange(frames, "(b t) c f -> b c t f", b=len(x)))
        return resampled
