"""Blocks of the U-Nets of 2020 (ISMIR 2020) alone; attribute names are those of their weights."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn

from lasaft.blocks import TFC, Block, activation, dense, frequency_layers, tdf_widths


class TDC(Block):
    """Convolutions along frequency alone, each frame by itself, densely connected (2020: TIC)."""

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
    """The TDF of 2020: its batch norms have weights only if its linear layers have biases."""

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
        found: Tensor = self.tif(x)
        return found


class TDFBlock(Block):
    """The block of the 2020 TDF net: one transformation, and a 1x1 convolution in the decoder."""

    def __init__(self, tif: nn.Sequential) -> None:
        super().__init__()
        self.tif = tif

    def convolve(self, x: Tensor) -> Tensor:
        """(item, channel, frame, bin) -> the same shape."""
        found: Tensor = self.tif(x)
        return found


class TFC_TIF(Block):
    """TFC_TDF as in 2020."""

    def __init__(self, tfc: TFC, tif: TIF) -> None:
        super().__init__()
        self.tfc = tfc
        self.tif = tif

    def convolve(self, x: Tensor) -> Tensor:
        """(item, in, frame, bin) -> (item, out, frame, bin)."""
        return self.tfc.convolve(x)

    def transform(self, features: Tensor) -> Tensor:
        """(item, channel, frame, bin) -> the same shape."""
        found: Tensor = features + self.tif(features)
        return found


class Recurrent(Block):
    """Convolutions, a GRU over time on vectors of bins, a transformation back to bins, a skip.

    ``blocks`` are the convolutions and the transformation by their attribute names.
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
        found: Tensor = self.get_submodule(self.parts[0])(x)
        return found

    def transform(self, features: Tensor) -> Tensor:
        """(item, channel, frame, bin) -> the same shape."""
        normal = self.bn(features)
        found = self.rnn(rearrange(normal, "b c t f -> (b c) t f"))[0]
        found = rearrange(found, "(b c) t f -> b c t f", b=len(features))
        mapped: Tensor = normal + self.get_submodule(self.parts[1])(found)
        return mapped


class FrequencyResampling(nn.Module):
    """Halve or double the bins of each frame by itself (2020, for its TDF and TDC nets).

    The authors' batch norm has 24 channels whatever the net has; this one has the net's.
    """

    def __init__(self, channels: int, up: bool) -> None:
        super().__init__()
        kind = nn.ConvTranspose1d if up else nn.Conv1d
        self.conv = kind(channels, channels, 2, stride=2)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(item, channel, frame, bin) -> half or twice as many bins."""
        frames = self.conv(rearrange(x, "b c t f -> (b t) c f"))
        found: Tensor = self.bn(rearrange(frames, "(b t) c f -> b c t f", b=len(x)))
        return found
