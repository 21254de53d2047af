"""``lasaft`` and ``python -m lasaft``."""

from mss_shared.stopping import starting


def main() -> None:
    """Run the command line."""
    with starting("lasaft"):
        from lasaft.paper import PAPER
        from mss_shared.cli import run

        run(PAPER)


if __name__ == "__main__":
    main()
