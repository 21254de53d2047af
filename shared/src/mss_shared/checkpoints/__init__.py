"""Reading and writing weights: our own files, published ones by name, third-party ones.

Public names are imported on first use, so that ``--help`` does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mss_shared.checkpoints.checkpoint import (
        load_checkpoint,
        load_checkpoints,
        read_header,
        save_model,
    )
    from mss_shared.checkpoints.file_kinds import find_kind
    from mss_shared.checkpoints.pickled import NotPlain, read_pickled_file
    from mss_shared.checkpoints.published import Published, fetch, find_published
    from mss_shared.checkpoints.strict_loading import build_filled, fill
    from mss_shared.checkpoints.third_party import WeightsFile, read_weights_file, unwrap
    from mss_shared.checkpoints.weight_names import strip_prefixes

__all__ = [
    "NotPlain",
    "Published",
    "WeightsFile",
    "build_filled",
    "fetch",
    "fill",
    "find_kind",
    "find_published",
    "load_checkpoint",
    "load_checkpoints",
    "read_header",
    "read_pickled_file",
    "read_weights_file",
    "save_model",
    "strip_prefixes",
    "unwrap",
]

_MODULES = {
    "NotPlain": "pickled",
    "Published": "published",
    "WeightsFile": "third_party",
    "fetch": "published",
    "build_filled": "strict_loading",
    "fill": "strict_loading",
    "find_kind": "file_kinds",
    "find_published": "published",
    "load_checkpoint": "checkpoint",
    "load_checkpoints": "checkpoint",
    "read_header": "checkpoint",
    "read_pickled_file": "pickled",
    "read_weights_file": "third_party",
    "save_model": "checkpoint",
    "strip_prefixes": "weight_names",
    "unwrap": "third_party",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__} has no attribute {name}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

    def __dir__() -> list[str]:
        return sorted([*globals(), *__all__])
