"""Models in the layout of model hubs: config.json and model.safetensors, and a card for people.

Public names are loaded when they are asked for: ``--help`` shows flags without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mss_shared.hub.card import write_card
    from mss_shared.hub.pretrained import open_pretrained, save_pretrained
    from mss_shared.hub.remote import fetch, push

__all__ = ["fetch", "open_pretrained", "push", "save_pretrained", "write_card"]

_MODULES = {
    "fetch": "remote",
    "open_pretrained": "pretrained",
    "push": "remote",
    "save_pretrained": "pretrained",
    "write_card": "card",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__} has no attribute {name}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

    def __dir__() -> list[str]:
        return sorted([*globals(), *__all__])
