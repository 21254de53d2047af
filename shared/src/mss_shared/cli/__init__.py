"""The command line of every paper, and ``mss-eval`` and ``mss-data``."""

from mss_shared.cli.main import run

__all__ = ["run"]
