"""LaSAFT-Net (Choi, Kim, Chung, Jung; ICASSP 2021, doi 10.1109/ICASSP39728.2021.9413896).

Public names: every network of ``lasaft.variants.PRESETS``, such as `CUNET_TFC_GPoCM_LaSAFT` and
`lasaft_net_large`; `Separator`, which they return; `read_weights`. They load on first use (PEP
562), so that importing the package, as the command line does, loads no torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lasaft.model import Separator
    from lasaft.weights import read_weights

__all__ = ["Separator", "read_weights"]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "Separator":
        from lasaft.model import Separator

        return Separator
    if name == "read_weights":
        from lasaft.weights import read_weights

        return read_weights
    from lasaft.variants import VARIANTS

    if name not in VARIANTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return VARIANTS[name]


def __dir__() -> list[str]:
    from lasaft.variants import VARIANTS

    return sorted([*globals(), *__all__, *VARIANTS])
