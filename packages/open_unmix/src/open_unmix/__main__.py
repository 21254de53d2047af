"""``open-unmix`` and ``python -m open_unmix``."""

from mss_shared.cli import run
from open_unmix.paper import PAPER


def main() -> None:
    """Run the command line."""
    run(PAPER)


if __name__ == "__main__":
    main()
