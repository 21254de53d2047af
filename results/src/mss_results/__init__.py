"""Turns score folders and published claims into leaderboards.

Public name: `read_leaderboard`, the rows of leaderboard.csv, typed.
"""

from mss_results.leaderboard import Leaderboard, LeaderboardRow, read_leaderboard

__all__ = ["Leaderboard", "LeaderboardRow", "read_leaderboard"]
