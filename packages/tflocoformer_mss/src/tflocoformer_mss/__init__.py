"""TF-Locoformer (Saijo et al., IWAENC 2024) for music, and its variants NoPE and BS-Locoformer.

Public names: `load`, `fit`, `evaluate`, `recipes`, `checkpoints` and `load_recipe`, which do what
the command line does; the music model `TFLocoformerMSS`; the separators on spectrograms
`TFLocoformerSeparator`, `BSLocoformerSeparator`, `BSLocoformerStack` and `TussModel`;
`WaveformModel`, which recipes build of any of these; and `configs`, constructor arguments by preset
name. They are imported on first use (PEP 562), so that the command line starts without loading
torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tflocoformer_mss.front import checkpoints, evaluate, fit, load, load_recipe, recipes
    from tflocoformer_mss.model import (
        BSLocoformerSeparator,
        TFLocoformerMSS,
        TFLocoformerSeparator,
        WaveformModel,
    )
    from tflocoformer_mss.presets import configs
    from tflocoformer_mss.unified import BSLocoformerStack, TussModel

__all__ = [
    "BSLocoformerSeparator",
    "BSLocoformerStack",
    "TFLocoformerMSS",
    "TFLocoformerSeparator",
    "TussModel",
    "WaveformModel",
    "checkpoints",
    "configs",
    "evaluate",
    "fit",
    "load",
    "load_recipe",
    "recipes",
]

_HOMES = {
    "BSLocoformerSeparator": "model",
    "BSLocoformerStack": "unified",
    "TFLocoformerMSS": "model",
    "TFLocoformerSeparator": "model",
    "TussModel": "unified",
    "WaveformModel": "model",
    "configs": "presets",
    **dict.fromkeys(("checkpoints", "evaluate", "fit", "load", "load_recipe", "recipes"), "front"),
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"tflocoformer_mss.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
