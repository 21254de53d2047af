"""BS-RoFormer (Lu, Wang, Kong, Hung; ICASSP 2024) and Mel-Band RoFormer (Wang, Lu, Won; 2023).

Public names: `load`, `fit`, `evaluate`, `recipes`, `checkpoints` and `load_recipe`, which do what
the command line does; the networks `BSRoformer` and `MelBandRoformer`; and `configs`, the
arguments of their presets. They are imported on first use (PEP 562), so that importing the
package, as the command line does, does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bs_roformer.front import checkpoints, evaluate, fit, load, load_recipe, recipes
    from bs_roformer.model import BSRoformer, MelBandRoformer
    from bs_roformer.presets import configs

__all__ = [
    "BSRoformer",
    "MelBandRoformer",
    "checkpoints",
    "configs",
    "evaluate",
    "fit",
    "load",
    "load_recipe",
    "recipes",
]

_HOMES = {
    "BSRoformer": "model",
    "MelBandRoformer": "model",
    "configs": "presets",
    **dict.fromkeys(("checkpoints", "evaluate", "fit", "load", "load_recipe", "recipes"), "front"),
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"bs_roformer.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
