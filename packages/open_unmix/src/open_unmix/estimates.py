"""The estimates that the Wiener filter iterates over, with the second moments it needs of them.

Axis letters: b batch, s stem, c d channel, f bin, t frame. Symbols as in wiener.py.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

Planes = tuple[Tensor, Tensor]  # real and imaginary part


class State(Protocol):
    """The estimates y_j of a piece, and the second moments that R_j is estimated from."""

    mixture: Tensor  # (b c f t) complex
    level: Tensor  # magnitudes of the mixture, (b c f t)

    def planes(self) -> Planes:
        """Real and imaginary part of y_j, each (b s c f t)."""

    def power(self) -> Tensor:
        """Squared magnitudes of y_j, (b s c f t)."""

    def cross(self, c: int, d: int) -> Planes:
        """Channel c of y_j times the conjugate of channel d, each part (b s f t)."""


class FirstEstimates:
    """Amplitudes with the mixture's phase.

    All stems share that phase, so second moments are products of real amplitudes and one phase
    difference per bin and frame. A residual may have negative amplitudes.
    """

    def __init__(self, amplitudes: Tensor, mixture: Tensor, level: Tensor) -> None:
        self.amplitudes, self.mixture, self.level = amplitudes, mixture, level
        # exp(i phase) is x / |x|, cheaper and more accurate than an angle, sine and cosine. Where x
        # is exactly zero the phase is taken as zero, which is what atan2 returns, without 0 / 0.
        silent = level == 0
        level = torch.where(silent, 1.0, level)
        self.phase = (torch.where(silent, 1.0, mixture.real / level), mixture.imag / level)

    def planes(self) -> Planes:
        """Real and imaginary part, each (b s c f t)."""
        real, imaginary = self.phase
        return self.amplitudes * real[:, None], self.amplitudes * imaginary[:, None]

    def power(self) -> Tensor:
        """Squared amplitudes, (b s c f t)."""
        return self.amplitudes.square()

    def cross(self, c: int, d: int) -> Planes:
        """Channel c times the conjugate of channel d, each part (b s f t)."""
        real, imaginary = self.phase
        product = self.amplitudes[:, :, c] * self.amplitudes[:, :, d]
        cosine = real[:, c] * real[:, d] + imaginary[:, c] * imaginary[:, d]
        sine = imaginary[:, c] * real[:, d] - real[:, c] * imaginary[:, d]
        return product * cosine[:, None], product * sine[:, None]


class FilteredEstimates:
    """Estimates W_j x after an iteration; each stem now has its own phase."""

    def __init__(self, real: Tensor, imaginary: Tensor, before: State) -> None:
        self.real, self.imaginary = real, imaginary
        self.mixture, self.level = before.mixture, before.level

    def planes(self) -> Planes:
        """Real and imaginary part, each (b s c f t)."""
        return self.real, self.imaginary

    def power(self) -> Tensor:
        """Squared magnitudes, (b s c f t)."""
        return self.real.square() + self.imaginary.square()

    def cross(self, c: int, d: int) -> Planes:
        """Channel c times the conjugate of channel d, each part (b s f t)."""
        c_real, c_imaginary = self.real[:, :, c], self.imaginary[:, :, c]
        d_real, d_imaginary = self.real[:, :, d], self.imaginary[:, :, d]
        return (
            c_real * d_real + c_imaginary * d_imaginary,
            c_imaginary * d_real - c_real * d_imaginary,
        )
