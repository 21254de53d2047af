"""The training loop and its data; nothing else imports Lightning.

Public names are imported on first use, so that ``--help`` does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mss_shared.training.augmentation import affect
    from mss_shared.training.gains import draw_gains_db
    from mss_shared.training.module import TrainingModule
    from mss_shared.training.random_mixes import ConsecutiveChunks, RandomMixes
    from mss_shared.training.segment_pool import SegmentPool

__all__ = [
    "ConsecutiveChunks",
    "RandomMixes",
    "SegmentPool",
    "TrainingModule",
    "affect",
    "draw_gains_db",
]

_MODULES = {
    "ConsecutiveChunks": "random_mixes",
    "RandomMixes": "random_mixes",
    "SegmentPool": "segment_pool",
    "TrainingModule": "module",
    "affect": "augmentation",
    "draw_gains_db": "gains",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__} has no attribute {name}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

    def __dir__() -> list[str]:
        return sorted([*globals(), *__all__])
