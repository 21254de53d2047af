"""From estimates to score files: protocols, track metrics, run records, oracles."""
