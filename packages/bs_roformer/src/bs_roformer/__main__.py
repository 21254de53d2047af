"""``bs-roformer`` and ``python -m bs_roformer``."""

from mss_shared.stopping import starting


def main() -> None:
    """Run the command line."""
    with starting("bs-roformer"):
        from bs_roformer.paper import PAPER
        from mss_shared.cli import run

        run(PAPER)


if __name__ == "__main__":
    main()
