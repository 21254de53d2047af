"""BS-RoFormer (Lu, Wang, Kong, Hung; ICASSP 2024) and Mel-Band RoFormer (Wang, Lu, Won; 2023).

Public names: the networks `BSRoformer` and `MelBandRoformer`, and `configs`, the arguments of their
presets. They are imported on first use (PEP 562), so that importing the package, as the command
line does, does not import torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bs_roformer.model import BSRoformer, MelBandRoformer
    from bs_roformer.presets import configs

__all__ = ["BSRoformer", "MelBandRoformer", "configs"]


def __getattr__(name: str) -> Any:
    if name in ("BSRoformer", "MelBandRoformer"):
        from bs_roformer import model

        return getattr(model, name)
    if name == "configs":
        from bs_roformer.presets import configs

        return configs
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
