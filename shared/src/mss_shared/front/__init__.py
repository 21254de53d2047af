"""A paper from Python: load, separate, train and score with the settings of the command line.

Public names are loaded when they are asked for; none of them loads torch before it has to.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mss_shared.front.named_recipe import Difference, NamedRecipe
    from mss_shared.front.package import Front
    from mss_shared.front.results import Evaluated, Fitted, SeparatedSong
    from mss_shared.front.separator import LoadedSeparator

__all__ = [
    "Difference",
    "Evaluated",
    "Fitted",
    "Front",
    "LoadedSeparator",
    "NamedRecipe",
    "SeparatedSong",
]

_MODULES = {
    "Difference": "named_recipe",
    "Evaluated": "results",
    "Fitted": "results",
    "Front": "package",
    "LoadedSeparator": "separator",
    "NamedRecipe": "named_recipe",
    "SeparatedSong": "results",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__} has no attribute {name}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

    def __dir__() -> list[str]:
        return sorted([*globals(), *__all__])
