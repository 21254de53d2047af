"""From estimates to score files: protocols, their metrics, records, oracles."""
