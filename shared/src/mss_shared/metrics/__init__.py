"""Metrics, one module per family, on numpy arrays or torch tensors; none reads a file.

None loads torch: `mss_shared.metrics.arrays` says how one formula serves both kinds. `bss_eval` is
for scripts that call museval; it is loaded when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mss_shared.metrics.as_museval import bss_eval

__all__ = ["bss_eval"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__} has no attribute {name}")
        from mss_shared.metrics.as_museval import bss_eval

        return bss_eval

    def __dir__() -> list[str]:
        return sorted([*globals(), *__all__])
