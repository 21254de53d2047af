"""Moises-Light (Hung, Pereira, Korzeniowski; WASPAA 2025, arXiv:2510.06785).

Public names: `load`, `fit`, `evaluate`, `recipes`, `checkpoints` and `load_recipe`, which do what
the command line does; `MoisesLight`, the network; and `configs`, constructor arguments by preset
name. They are imported on first use (PEP 562), so that the command line starts without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moises_light.front import checkpoints, evaluate, fit, load, load_recipe, recipes
    from moises_light.model import MoisesLight
    from moises_light.presets import configs

__all__ = [
    "MoisesLight",
    "checkpoints",
    "configs",
    "evaluate",
    "fit",
    "load",
    "load_recipe",
    "recipes",
]

_HOMES = {
    "MoisesLight": "model",
    "configs": "presets",
    **dict.fromkeys(("checkpoints", "evaluate", "fit", "load", "load_recipe", "recipes"), "front"),
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"moises_light.{_HOMES[name]}"), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("mss-moises-light")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
