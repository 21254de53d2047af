"""``bs-roformer`` and ``python -m bs_roformer``."""

from bs_roformer.paper import PAPER
from mss_shared.cli import run


def main() -> None:
    """Run the command line."""
    run(PAPER)


if __name__ == "__main__":
    main()
