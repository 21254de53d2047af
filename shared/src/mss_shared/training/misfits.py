"""Sizes of a recipe that fit no tensor, or not each other: what torch says, in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mss_shared.names import one_line

NO_MODEL = "the recipe's model can't be built"
NO_STEP = "the recipe's model can't be trained on its examples"

# What Python and torch raise for them.
_KINDS = (RuntimeError, MemoryError, ArithmeticError, TypeError, LookupError)


@contextmanager
def fitting(impossible: str) -> Iterator[None]:
    """Turn an error of sizes into a ValueError of one sentence, which begins with ``impossible``.

    The error stays its cause, for those who debug a model in Python.
    """
    try:
        yield
    except _KINDS as error:
        said = one_line(str(error)) or type(error).__name__
        raise ValueError(f"{impossible} ({said}): give other sizes") from error
