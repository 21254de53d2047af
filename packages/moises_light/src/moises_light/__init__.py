"""Moises-Light (Hung, Pereira, Korzeniowski; WASPAA 2025, arXiv:2510.06785).

Public names: `MoisesLight`, the network, and `configs`, constructor arguments by preset name. They
are imported on first use (PEP 562), so that the command line starts without loading torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moises_light.model import MoisesLight
    from moises_light.presets import configs

__all__ = ["MoisesLight", "configs"]


def __getattr__(name: str) -> Any:
    if name == "MoisesLight":
        from moises_light.model import MoisesLight

        return MoisesLight
    if name == "__version__":
        from importlib.metadata import version

        return version("mss-moises-light")
    if name == "configs":
        from moises_light.presets import configs

        return configs
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
