"""``moises-light`` and ``python -m moises_light``."""

from moises_light.paper import PAPER
from mss_shared.cli import run


def main() -> None:
    """Run the command line."""
    run(PAPER)


if __name__ == "__main__":
    main()
