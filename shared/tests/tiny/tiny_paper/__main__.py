"""``python -m tiny_paper``."""

from mss_shared.cli import run
from tiny_paper.paper import PAPER

if __name__ == "__main__":
    run(PAPER)
