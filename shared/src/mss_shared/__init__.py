"""Data, measurement and machinery shared by the paper packages; see README.md for the modules.

Public names: `score`, a song in memory under a protocol; `open_dataset`, a data set for torch's
``DataLoader``. They are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mss_shared.datasets.excerpts import open_dataset
    from mss_shared.evaluation.score_arrays import score

__all__ = ["open_dataset", "score"]
__version__ = "0.1.0"

_MODULES = {"open_dataset": "datasets.excerpts", "score": "evaluation.score_arrays"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__} has no attribute {name}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

    def __dir__() -> list[str]:
        return sorted([*globals(), *__all__])
