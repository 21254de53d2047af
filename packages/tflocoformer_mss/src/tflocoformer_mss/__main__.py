"""``tflocoformer-mss`` and ``python -m tflocoformer_mss``."""

import sys

from mss_shared.stopping import starting


def main() -> None:
    """Run the command line; `train` is `fit` with the music fork's flags."""
    with starting("tflocoformer-mss"):
        from mss_shared import console
        from mss_shared.cli import run
        from tflocoformer_mss.commands import translate
        from tflocoformer_mss.paper import PAPER

        with console.one_sentence_errors(PAPER.command):
            words = translate(PAPER.name, sys.argv[1:])
        run(PAPER, words)


if __name__ == "__main__":
    main()
