"""How much a reproduction may take, from a flag; imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True)
class Budget:
    """How much a reproduction may take; one of the two is None.

    Attributes:
        seconds: for all of it.
        steps: of each recipe.
    """

    seconds: float | None = None
    steps: int | None = None


def parse_budget(text: str) -> Budget:
    """A budget from ``90s``, ``5m``, ``2h``, ``1d`` or ``4steps``.

    Raises:
        ValueError: if it is none.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(steps|[smhd])", text, re.ASCII)
    amount = float(match[1]) if match else 0.0
    if match is None or not amount or (match[2] == "steps" and not match[1].isdigit()):
        raise ValueError(f"{text} is no budget: give a time such as 90s, 5m or 2h, or 4steps")
    if match[2] == "steps":
        return Budget(steps=int(amount))
    return Budget(seconds=amount * _UNITS[match[2]])
