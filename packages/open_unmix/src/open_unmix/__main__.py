"""``open-unmix`` and ``python -m open_unmix``."""

from mss_shared.stopping import starting


def main() -> None:
    """Run the command line."""
    with starting("open-unmix"):
        from mss_shared.cli import run
        from open_unmix.paper import PAPER

        run(PAPER)


if __name__ == "__main__":
    main()
