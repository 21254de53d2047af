"""``moises-light`` and ``python -m moises_light``."""

from mss_shared.stopping import starting


def main() -> None:
    """Run the command line."""
    with starting("moises-light"):
        from moises_light.paper import PAPER
        from mss_shared.cli import run

        run(PAPER)


if __name__ == "__main__":
    main()
