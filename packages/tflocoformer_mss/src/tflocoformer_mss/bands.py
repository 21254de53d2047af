"""Band-split encoder and band-wise decoder of BS-Locoformer (TUSS: Saijo et al., ICASSP 2025)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn


class BandSplit(nn.Module):
    """Band-split encoder and band-wise decoder; bands do not share weights.

    The encoder turns each band of a frame into one feature vector, the decoder turns it back into
    the bins of each stem. The authors published two forms, whose weights are incompatible. Form A
    (stand-alone TF-Locoformer code) has one Tanh in the decoder and orders its outputs
    (real/imaginary, stem, channel, bin). Form B (TUSS code) has a second Tanh and the order
    (stem, real/imaginary, bin).

    Args:
        sizes: bins of each band.
        channels: of the spectrogram.
        stems: number of stems that the decoder estimates.
        dim: features (D).
        form: "A" or "B".

    Source: paper (TUSS), BS-Locoformer; both forms, authors' code.
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
        """Band-split encoder, (b, c, t, f) complex -> (b, t, k, d).

        Raises:
            ValueError: if the spectrogram has another number of bins than the bands.
        """
        if spec.shape[-1] != sum(self.sizes):
            raise ValueError(
                f"the bands cover {sum(self.sizes)} bins, the spectrogram has {spec.shape[-1]}: "
                f"sample_rate and stft_size must be those of the spectrogram"
            )
        reals = torch.view_as_real(spec).float()
        # Within a bin, real parts of all channels, then imaginary parts. Bins are outermost, so
        # that a band is a slice.
        reals = rearrange(reals, "b c t f r -> b (f r c) t")
        bands = reals.split([2 * self.channels * size for size in self.sizes], dim=1)
        encoded = [e(x) for e, x in zip(self.band_split_module, bands, strict=True)]
        # Features innermost in memory too, as the norms of all blocks read them.
        return rearrange(torch.stack(encoded), "k b d t -> b t k d").contiguous()

    def decode(self, x: Tensor) -> Tensor:
        """Band-wise decoder, (b, t, k, d) -> (b, s, c, t, f) complex."""
        bands = rearrange(x, "b t k d -> k b d t").contiguous()
        decoded = [
            self.arrange(d(band))
            for d, band in zip(self.bandwise_decoding_module, bands, strict=True)
        ]
        reals = torch.cat(decoded, dim=-2).float()
        return torch.view_as_complex(reals)

    def arrange(self, band: Tensor) -> Tensor:
        """Separate the axes of one band's output, (b, features, t) -> (b, s, c, t, bin, r)."""
        axes = "r s c f" if self.form == "A" else "s r c f"
        return rearrange(
            band, f"b ({axes}) t -> b s c t f r", r=2, s=self.stems, c=self.channels
        ).contiguous()


def decoder(dim: int, width: int, form: str) -> nn.Sequential:
    """The decoder of one band, (b, d, t) -> (b, width, t).

    In form A no activation stands between the second and the third convolution.
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
