"""Separating songs into stems: chunking, overlap-add, ensembles, output files, batches.

Its public names are loaded when they are asked for: ``--help`` shows flags without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mss_shared.separation.output.options import Delivery, Separated
    from mss_shared.separation.separate import iterate_song, separate_file, separate_song
    from mss_shared.separation.separator import Separator, stems_together

__all__ = [
    "Delivery",
    "Separated",
    "Separator",
    "iterate_song",
    "separate_file",
    "separate_song",
    "stems_together",
]

_MODULES = {
    "Delivery": "output.options",
    "Separated": "output.options",
    "Separator": "separator",
    "iterate_song": "separate",
    "separate_file": "separate",
    "separate_song": "separate",
    "stems_together": "separator",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__} has no attribute {name}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

    def __dir__() -> list[str]:
        return sorted([*globals(), *__all__])
