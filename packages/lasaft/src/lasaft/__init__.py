"""LaSAFT-Net (Choi, Kim, Chung, Jung; ICASSP 2021, doi 10.1109/ICASSP39728.2021.9413896).

Public names: `load`, `fit`, `evaluate`, `recipes`, `checkpoints` and `load_recipe`, which do what
the command line does; every network of ``lasaft.variants.PRESETS``, such as
`CUNET_TFC_GPoCM_LaSAFT` and `lasaft_net_large`; `Separator`, which they return; `read_weights`.
They load on first use (PEP 562), so that importing the package, as the command line does, loads
no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lasaft.front import checkpoints, evaluate, fit, load, load_recipe, recipes
    from lasaft.model import Separator
    from lasaft.weights import read_weights

__all__ = [
    "Separator",
    "checkpoints",
    "evaluate",
    "fit",
    "load",
    "load_recipe",
    "read_weights",
    "recipes",
]

_HOMES = {
    "Separator": "model",
    "read_weights": "weights",
    **dict.fromkeys(("checkpoints", "evaluate", "fit", "load", "load_recipe", "recipes"), "front"),
}


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _HOMES:
        return getattr(import_module(f"lasaft.{_HOMES[name]}"), name)
    from lasaft.variants import VARIANTS

    if name not in VARIANTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return VARIANTS[name]


def __dir__() -> list[str]:
    from lasaft.variants import VARIANTS

    return sorted([*globals(), *__all__, *VARIANTS])
