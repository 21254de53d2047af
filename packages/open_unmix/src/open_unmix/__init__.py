"""Open-Unmix (Stöter, Uhlich, Liutkus, Mitsufuji; JOSS 2019, doi 10.21105/joss.01667).

Public names: `load`, `fit`, `evaluate`, `recipes`, `checkpoints` and `load_recipe`, which do what
the command line does; `OpenUnmix`, the network of one target; `Separator`, all targets with the
Wiener filter; `umx`, `umxhq`, `umxl`, `umxse`, the published separators. They are imported on first
use (PEP 562), so that the command line starts without loading torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from open_unmix.front import checkpoints, evaluate, fit, load, load_recipe, recipes
    from open_unmix.model import OpenUnmix
    from open_unmix.published import umx, umxhq, umxl, umxse
    from open_unmix.separator import Separator

__all__ = [
    "OpenUnmix",
    "Separator",
    "checkpoints",
    "evaluate",
    "fit",
    "load",
    "load_recipe",
    "recipes",
    "umx",
    "umxhq",
    "umxl",
    "umxse",
]

_HOMES = {
    "OpenUnmix": "model",
    "Separator": "separator",
    **dict.fromkeys(("umx", "umxhq", "umxl", "umxse"), "published"),
    **dict.fromkeys(("checkpoints", "evaluate", "fit", "load", "load_recipe", "recipes"), "front"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"open_unmix.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
