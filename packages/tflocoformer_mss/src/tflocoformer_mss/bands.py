"""Encoder and decoder of BS-Locoformer (Saijo et al., ICASSP 2025): bands of bins to features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn


class BandSplit(nn.Module):
    """One vector of features per band and frame, and back; bands share no weights.

    Two forms are in circulation, whose weights do not fit each other. Form A (the stand-alone
    code) has one Tanh in the decoder and orders its outputs (real/imaginary, stem, channel, bin);
    form B (the code of unified separation) has a second Tanh and the order (stem, real/imaginary,
    bin).

    Args:
        sizes: bins of every band.
        channels: of the spectrogram.
        stems: that the decoder estimates.
        dim: features (D).
        form: "A" or "B".
    """

    def __init__(
        self, sizes: Sequence[int], channels: int, stems: int, dim: int, form: str
    ) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.channels = channels
        self.stems = stems
        self.form = form
        widths = [2 * channels * size for size in sizes]
        self.band_split_module = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(1, width), nn.Conv1d(width, dim, 1)) for width in widths
        )
        self.bandwise_decoding_module = nn.ModuleList(
            decoder(dim, stems * width, form) for width in widths
        )

    def encode(self, spec: Tensor) -> Tensor:
        """(b, c, t, f) complex -> (b, t, k, d).

        Raises:
            ValueError: if the bands do not cover the bins.
        """
        if spec.shape[-1] != sum(self.sizes):
            raise ValueError(
                f"the bands cover {sum(self.sizes)} bins, the spectrogram has {spec.shape[-1]}: "
                f"sample_rate and stft_size must be its own"
            )
        reals = torch.view_as_real(spec).float()
        # All real parts come first, then all imaginary ones; bins are outermost: a band is a slice.
        reals = rearrange(reals, "b c t f r -> b (f r c) t")
        bands = reals.split([2 * self.channels * size for size in self.sizes], dim=1)
        encoded = [e(x) for e, x in zip(self.band_split_module, bands, strict=True)]
        return rearrange(torch.stack(encoded), "k b d t -> b t k d")

    def decode(self, x: Tensor) -> Tensor:
        """(b, t, k, d) -> (b, s, c, t, f) complex."""
        bands = rearrange(x, "b t k d -> k b d t").contiguous()
        decoded = [
            self.arrange(d(band))
            for d, band in zip(self.bandwise_decoding_module, bands, strict=True)
        ]
        reals = torch.cat(decoded, dim=-2).float()
        return torch.view_as_complex(reals)

    def arrange(self, band: Tensor) -> Tensor:
        """(b, features out, t) of one band -> (b, s, c, t, bin, r)."""
        axes = "r s c f" if self.form == "A" else "s r c f"
        return rearrange(
            band, f"b ({axes}) t -> b s c t f r", r=2, s=self.stems, c=self.channels
        ).contiguous()


def decoder(dim: int, width: int, form: str) -> nn.Sequential:
    """(b, d, t) -> (b, width, t) for one band.

    There is nothing between the second and the third convolution of form A.
    """
    between = [nn.Tanh()] if form == "B" else []
    return nn.Sequential(
        nn.GroupNorm(1, dim),
        nn.Conv1d(dim, 4 * dim, 1),
        nn.Tanh(),
        nn.Conv1d(4 * dim, 4 * dim, 1),
        *between,
        nn.Conv1d(4 * dim, 2 * width, 1),
        nn.GLU(dim=1),
    )
