"""Shapes that can't be audio in the order of axes that a function takes."""

from __future__ import annotations

from collections.abc import Mapping

# More than this, or more than usual and fewer samples, can only be another axis.
_MOST = {"channels": 64, "stems": 100}
_USUAL = 8


def refuse_swapped(name: str, counts: Mapping[str, int], samples: int, instead: str) -> None:
    """Refuse audio whose axes are in another order, before memory is allocated by its shape.

    Args:
        name: of the signals, with its verb: ``the mixture has``.
        counts: the lengths of the axes before the last, as ``channels`` or ``stems``.
        samples: the length of the last axis.
        instead: what to pass.

    Raises:
        ValueError: if there are more than 64 channels or 100 stems, or more than 8 of either and
            fewer samples.
    """
    for axis, count in counts.items():
        if count > max(min(samples, _MOST[axis]), _USUAL):
            raise ValueError(f"{name} {count} {axis} of {samples} samples: pass {instead}")
