"""Score folders and published claims in, leaderboard tables out."""
