"""``mss-data`` and ``python -m mss_shared.cli.mss_data``."""

from collections.abc import Sequence

from mss_shared.stopping import starting


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line, as `mss_shared.cli.data_verbs.run` does."""
    with starting("mss-data"):
        from mss_shared.cli.data_verbs import run

        run(words)


if __name__ == "__main__":
    main()
