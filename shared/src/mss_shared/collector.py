"""Python's garbage collector, kept from going through all that torch consists of.

Importing torch makes several hundred thousand objects that live until the program ends. The
collector looks at each of them many times during the import, and once more at the end, which takes
a third of a second of each command (``experiments/2026-12-whole-songs``).
"""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting_imports() -> Iterator[None]:
    """Import torch without collections; what exists at the end of the block is never collected.

    Does nothing in a program that has torch already.
    """
    if "torch" in sys.modules:
        yield
        return
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()


def end_without_collection() -> None:
    """When the program ends, let the system take its memory as a whole.

    Objects that only refer to each other are then not finalised one by one; files that ``with``
    holds open and functions of ``atexit`` are.
    """
    atexit.register(gc.freeze)
