"""How often a model runs and in what precision. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

MIRRORS = ("polarity", "channels")
ENSEMBLES = ("mean", "median", "spec_mean", "spec_median")
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class Passes:
    """What is done with a model, or several, to get one estimate.

    Attributes:
        mirrors: mirrored mixtures to average over, of ``MIRRORS``.
        shifts: delays to average over, the first of which is none.
        ensemble: how models of the same stems are combined; None for the mean.
        precision: of the products, of ``PRECISIONS``.
        compiled: run through the compiler.
    """

    mirrors: tuple[str, ...] = ()
    shifts: int = 1
    ensemble: str | None = None
    precision: str = "fp32"
    compiled: bool = False
