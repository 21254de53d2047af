"""``python -m tiny_paper``."""

from mss_shared.cli import run
from tiny_paper.paper import PAPER


def main() -> None:
    """Run the command line."""
    run(PAPER)


if __name__ == "__main__":
    main()
