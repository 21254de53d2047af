"""Turns score folders and published claims into leaderboards.

Public name: `read_leaderboard`, the rows of leaderboard.csv, typed. It is imported on first use, so
that the command line begins before NumPy is there.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mss_results.leaderboard import Leaderboard, LeaderboardRow, read_leaderboard

__all__ = ["Leaderboard", "LeaderboardRow", "read_leaderboard"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__} has no attribute {name}")
        return getattr(import_module(f"{__name__}.leaderboard"), name)

    def __dir__() -> list[str]:
        return sorted([*globals(), *__all__])
