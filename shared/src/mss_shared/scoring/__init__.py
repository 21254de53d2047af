"""Scoring of separated files against references: ``mss-eval``."""
