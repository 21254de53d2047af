"""``python -m tiny_paper``."""

from mss_shared.stopping import starting


def main() -> None:
    """Run the command line."""
    with starting("tiny-paper"):
        from mss_shared.cli import run
        from tiny_paper.paper import PAPER

        run(PAPER)


if __name__ == "__main__":
    main()
