"""Turns score folders and published claims into leaderboards."""
