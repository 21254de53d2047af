"""``mss-eval`` and ``python -m mss_shared.cli.mss_eval``."""

from collections.abc import Sequence

from mss_shared.stopping import starting


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line, as `mss_shared.cli.eval_command.run` does."""
    with starting("mss-eval"):
        from mss_shared.cli.eval_command import run

        run(words)


if __name__ == "__main__":
    main()
