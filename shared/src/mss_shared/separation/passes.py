"""Settings for test-time augmentation, ensembles and precision. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

MIRRORS = ("polarity", "channels")
ENSEMBLES = ("mean", "median", "spec_mean", "spec_median")
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class Passes:
    """How one or several models are run to get one estimate.

    Attributes:
        mirrors: mirrored mixtures to average over, from ``MIRRORS``.
        shifts: number of passes to average over, of which all but the first are delayed.
        ensemble: how models of the same stems are combined; None for the mean.
        precision: of matrix products and convolutions, from ``PRECISIONS``.
        compiled: whether to use ``torch.compile``.
    """

    mirrors: tuple[str, ...] = ()
    shifts: int = 1
    ensemble: str | None = None
    precision: str = "fp32"
    compiled: bool = False
