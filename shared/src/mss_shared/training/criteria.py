"""The values of a validation by which epochs are compared: the loss, or the SDR of songs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightning as pl

from mss_shared.recipe_sections import LoopConfig


@dataclass(frozen=True)
class Criterion:
    """A logged value that says how good an epoch is.

    Attributes:
        name: under which it is logged.
        mode: ``min`` if lower is better, ``max`` if higher is.
    """

    name: str
    mode: str

    def cost(self, metrics: Mapping[str, Any]) -> float:
        """The value among logged ones, with a sign by which lower is better."""
        return self.value(float(metrics[self.name]))

    def value(self, cost: float) -> float:
        """From the cost to the value, and back."""
        return -cost if self.mode == "max" else cost


LOSS = Criterion("val/loss", "min")
SDR = Criterion("val/sdr", "max")
KEEP = {"best": LOSS, "best_sdr": SDR, "last": LOSS}
MONITOR = {"loss": LOSS, "sdr": SDR}


def needs_sdr(loop: LoopConfig) -> bool:
    """Whether a recipe compares epochs by SDR."""
    return SDR in (KEEP[loop.keep], MONITOR[loop.monitor])


def has_validated(trainer: pl.Trainer) -> bool:
    """Whether the epoch that ends has a validation."""
    every = trainer.check_val_every_n_epoch or 1
    return (trainer.current_epoch + 1) % every == 0
